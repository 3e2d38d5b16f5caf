package dev.dcgan.speed;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import ai.onnxruntime.TensorInfo;
import com.google.protobuf.ByteString;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.stub.StreamObserver;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Executors;

/**
 * A minimal service for comparison: each call is one run, and calls run concurrently on one
 * session, on as many threads as cores. It has no batching and no queue, and returns RAW only.
 */
final class PlainService extends SamplerServiceGrpc.SamplerServiceImplBase {

  private static final OrtEnvironment ENVIRONMENT = OrtEnvironment.getEnvironment();

  private final OrtSession session;
  private final int latentSize;
  private final ImageShape shape;

  private PlainService(OrtSession session, int latentSize) throws OrtException {
    this.session = session;
    this.latentSize = latentSize;
    // (n, h, w, c)
    NodeInfo output = Objects.requireNonNull(session.getOutputInfo().get("pixels"));
    long[] pixels = ((TensorInfo) output.getInfo()).getShape();
    this.shape = new ImageShape((int) pixels[1], (int) pixels[2], (int) pixels[3]);
  }

  /** Arguments: model.onnx and its latent size. Prints the port. */
  public static void main(String[] args) throws Exception {
    try (SessionOptions options = new SessionOptions()) {
      options.setIntraOpNumThreads(1);
      OrtSession session = ENVIRONMENT.createSession(Files.readAllBytes(Path.of(args[0])), options);
      Server server =
          Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
              .executor(Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors()))
              .addService(new PlainService(session, Integer.parseInt(args[1])))
              .build()
              .start();
      System.out.println("gRPC on port " + server.getPort());
      server.awaitTermination();
    }
  }

  @Override
  public void generate(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    int count = request.getCount();
    float[] latents = new float[count * latentSize];
    for (int i = 0; i < count; i++) {
      Latents.fill(
          request.getSeed(), request.getFirstIndex() + i, latents, i * latentSize, latentSize);
    }
    try (OnnxTensor z =
            OnnxTensor.createTensor(
                ENVIRONMENT, FloatBuffer.wrap(latents), new long[] {count, latentSize});
        OrtSession.Result result = session.run(Map.of("z", z), Set.of("pixels"))) {
      ByteBuffer pixels = ((OnnxTensor) result.get(0)).getByteBuffer();
      observer.onNext(
          GenerateResponse.newBuilder()
              .setFirstIndex(request.getFirstIndex())
              .setCount(count)
              .setShape(shape.toProto())
              .setPixels(ByteString.copyFrom(pixels))
              .build());
      observer.onCompleted();
    } catch (OrtException e) {
      observer.onError(e);
    }
  }
}
