package dev.dcgan.sampler.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.util.JsonFormat;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.QueueWatch;
import dev.dcgan.sampler.scheduling.RunGuard;
import dev.dcgan.sampler.server.TestModels;
import dev.dcgan.v1.ModelManifest;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models larger than the heap, and models with external data. */
class LargeModelTest {

  private static final int WEIGHT_BYTES = 128 << 20;

  @TempDir private Path root;

  /** Loads a version as the sampler does, in its own process with a small heap. */
  static final class Child {

    private Child() {}

    public static void main(String[] args) throws IOException {
      ModelBundle bundle = new ModelRepository(Path.of(args[0])).open("digits", 1);
      ServedVersion loaded =
          ServedVersion.open(
              bundle,
              new RuntimeSettings(Provider.CPU, 1, false, 0),
              1,
              new BatchingPolicy(4, Duration.ZERO, 16),
              new QueueWatch(),
              RunGuard.unwatched(RuntimeFailure::of));
      System.out.println("loaded " + loaded);
      System.exit(0);
    }
  }

  @Test
  void modelLargerThanTheHeap_isVerifiedAndLoaded() throws Exception {
    Path onnx = TestModels.publish(new ModelRepository(root), "digits", 1, 1).folder();
    addLargeWeight(onnx.resolve("model.onnx"));
    correctManifest(onnx);

    Path output = root.resolve("output");
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx64m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:+ExitOnOutOfMemoryError",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName(),
                root.toString())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    try {
      assertThat(child.waitFor(120, TimeUnit.SECONDS)).isTrue();
      assertThat(child.exitValue()).as(Files.readString(output)).isZero();
      assertThat(Files.readString(output)).contains("loaded digits/1");
    } finally {
      child.destroyForcibly();
    }
  }

  @Test
  void externalData_isRejected_whereverTheModelNamesIt() throws IOException {
    byte[] whole = TestModels.onnx(TestModels.weights(1, 1));
    ModelProto.Builder initializer = ModelProto.parseFrom(whole).toBuilder();
    makeExternal(initializer.getGraphBuilder().getInitializerBuilder(0));
    ModelProto.Builder attribute = ModelProto.parseFrom(whole).toBuilder();
    makeExternal(
        attribute
            .getGraphBuilder()
            .addNodeBuilder()
            .setOpType("Constant")
            .addOutput("c")
            .addAttributeBuilder()
            .setName("value")
            .getTBuilder());
    Files.write(root.resolve("weights.bin"), new byte[1 << 20]);

    for (ModelProto.Builder model : List.of(initializer, attribute)) {
      Path folder = Files.createDirectories(root.resolve("bare/1"));
      Files.write(folder.resolve("model.onnx"), model.build().toByteArray());
      assertThatThrownBy(
              () -> new ModelRepository(root).openUnverified("bare", 1, OnnxModel::describe))
          .isInstanceOf(InvalidModelException.class)
          .hasMessageContainingAll("external data", "'weights.bin'", "onnx.save");
    }
  }

  @Test
  void publishedModel_withExternalData_isNotLoaded() throws Exception {
    Path folder = TestModels.publish(new ModelRepository(root), "digits", 1, 1).folder();
    Path onnx = folder.resolve("model.onnx");
    ModelProto.Builder model = ModelProto.parseFrom(Files.readAllBytes(onnx)).toBuilder();
    makeExternal(model.getGraphBuilder().getInitializerBuilder(0));
    Files.write(onnx, model.build().toByteArray());
    correctManifest(folder);
    ModelBundle bundle = new ModelRepository(root).open("digits", 1);
    assertThatThrownBy(
            () -> OnnxModel.open(bundle, new RuntimeSettings(Provider.CPU, 1, false, 0), 1, 1))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("external data");
  }

  private static void makeExternal(TensorProto.Builder tensor) {
    tensor
        .clearRawData()
        .clearFloatData()
        .setDataLocation(TensorProto.DataLocation.EXTERNAL)
        .addExternalData(
            StringStringEntryProto.newBuilder().setKey("location").setValue("weights.bin"));
  }

  /** Appends an initializer of zeros that no node uses: messages that follow are merged. */
  private static void addLargeWeight(Path onnx) throws IOException {
    byte[] tensor =
        TensorProto.newBuilder()
            .setName("large")
            .setDataType(TensorProto.DataType.FLOAT.getNumber())
            .addDims(WEIGHT_BYTES / Float.BYTES)
            .build()
            .toByteArray();
    int rawData = 1 + CodedOutputStream.computeUInt32SizeNoTag(WEIGHT_BYTES) + WEIGHT_BYTES;
    int initializer = tensor.length + rawData;
    int graph = 1 + CodedOutputStream.computeUInt32SizeNoTag(initializer) + initializer;
    ByteArrayOutputStream head = new ByteArrayOutputStream();
    CodedOutputStream out = CodedOutputStream.newInstance(head);
    out.writeTag(7, 2); // ModelProto.graph
    out.writeUInt32NoTag(graph);
    out.writeTag(5, 2); // GraphProto.initializer
    out.writeUInt32NoTag(initializer);
    out.writeRawBytes(tensor);
    out.writeTag(9, 2); // TensorProto.raw_data
    out.writeUInt32NoTag(WEIGHT_BYTES);
    out.flush();
    try (RandomAccessFile file = new RandomAccessFile(onnx.toFile(), "rw")) {
      file.seek(file.length());
      file.write(head.toByteArray());
      file.setLength(file.length() + WEIGHT_BYTES); // A hole, which reads as zeros.
    }
  }

  /** Updates the size and digest in the manifest. */
  private static void correctManifest(Path folder) throws Exception {
    Path onnx = folder.resolve("model.onnx");
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    try (InputStream in = new DigestInputStream(Files.newInputStream(onnx), digest)) {
      byte[] piece = new byte[1 << 16];
      while (in.read(piece) >= 0) {
        // Only the digest is needed.
      }
    }
    Path manifest = folder.resolve("manifest.json");
    ModelManifest.Builder corrected = ModelManifest.newBuilder();
    JsonFormat.parser().merge(Files.readString(manifest), corrected);
    corrected.setOnnxBytes(Files.size(onnx));
    corrected.getModelBuilder().setSha256(HexFormat.of().formatHex(digest.digest()));
    Files.writeString(manifest, JsonFormat.printer().print(corrected));
  }
}
