// The call that makes one image, in four languages.

/**
 * The calls by language.
 *
 * `image` has model, version, seed and index, and temperature and label where they are not as by
 * default; `grpc` has address and tls; `url` is the image over HTTP.
 */
export function calls(image, grpc, url) {
  return {
    grpcurl: grpcurl(image, grpc),
    Python: python(image, grpc),
    Java: java(image, grpc),
    curl: `curl -o ${fileName(image)} ${quoted(url)}`,
  };
}

/** A file name that says which image it is. */
export function fileName({ model, version, seed, index }, scale = 1) {
  return `${model}-${version}-${seed}-${index}${scale === 1 ? "" : `-${scale}x`}.png`;
}

function grpcurl(image, grpc) {
  const request = {
    model: image.model,
    version: image.version,
    seed: image.seed,
    firstIndex: String(image.index),
    count: 1,
  };
  if (image.temperature) request.temperature = Number(image.temperature);
  if (image.label) request.labels = [image.label];
  return [
    `grpcurl ${grpc.tls ? "" : "-plaintext "}-d ${quoted(JSON.stringify(request))} \\`,
    `  ${grpc.address} dcgan.v1.SamplerService/Generate`,
  ].join("\n");
}

function python(image, grpc) {
  const channel = grpc.tls
    ? `grpc.secure_channel("${grpc.address}", grpc.ssl_channel_credentials())`
    : `grpc.insecure_channel("${grpc.address}")`;
  const fields = [
    `model=${JSON.stringify(image.model)}, version=${image.version},`,
    `seed=${image.seed}, first_index=${image.index}, count=1,`,
  ];
  if (image.temperature) fields.push(`temperature=${image.temperature},`);
  if (image.label) fields.push(`labels=[${JSON.stringify(image.label)}],`);
  return `import grpc
from dcgan.v1 import sampler_pb2, sampler_pb2_grpc

channel = ${channel}
sampler = sampler_pb2_grpc.SamplerServiceStub(channel)
response = sampler.Generate(sampler_pb2.GenerateRequest(
    ${fields.join("\n    ")}
))
with open("${fileName(image)}", "wb") as file:
    file.write(response.png[0])`;
}

function java(image, grpc) {
  const credentials = grpc.tls ? "TlsChannelCredentials" : "InsecureChannelCredentials";
  const fields = [
    `.setModel(${JSON.stringify(image.model)})`,
    `.setVersion(${image.version})`,
    `.setSeed(${long(image.seed)})`,
    `.setFirstIndex(${long(image.index)})`,
    ".setCount(1)",
  ];
  if (image.temperature) fields.push(`.setTemperature(${image.temperature}f)`);
  if (image.label) fields.push(`.addLabels(${JSON.stringify(image.label)})`);
  return `var channel =
    Grpc.newChannelBuilder("${grpc.address}", ${credentials}.create()).build();
var sampler = SamplerServiceGrpc.newBlockingStub(channel);
var response =
    sampler.generate(
        GenerateRequest.newBuilder()
            ${fields.join("\n            ")}
            .build());
Files.write(Path.of("${fileName(image)}"), response.getPng(0).toByteArray());
channel.shutdownNow();`;
}

/** An unsigned number as Java writes it. */
function long(number) {
  return BigInt(number) < 2n ** 63n ? `${number}L` : `Long.parseUnsignedLong("${number}")`;
}

/** Quoted for a shell. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
