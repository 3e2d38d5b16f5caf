package dev.dcgan.e2e;

import static dev.dcgan.e2e.Program.assumeRuns;
import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs the client examples of the READMEs against the packaged sampler. */
class ReadmeIT {

  private static final Path TRAINER = Path.of("../trainer/target/trainer/bin/trainer");
  private static final Path SAMPLER = Path.of("../sampler/target/sampler").toAbsolutePath();
  private static final Path README = Path.of("../README.md");
  private static final String JAVA_COMMAND = "java -cp 'sampler/target/sampler/lib/*' Client.java";
  private static final Pattern PROTO_FOLDER = Pattern.compile("\"proto/[^\"]*\"");

  @TempDir private static Path folder;

  private static Program sampler;
  private static String target = "";
  private static byte[] image = {};

  @BeforeAll
  static void trainAndServe() throws Exception {
    Program.run(
        folder,
        List.of(
            TRAINER.toAbsolutePath().toString(),
            "train",
            "--images=200",
            "--epochs=1",
            "--width=4",
            "--latent=8",
            "--batch-size=50",
            "--evaluation-images=100",
            "--http-port=0"));
    sampler =
        Program.start(
            folder,
            List.of(
                SAMPLER.resolve("bin/sampler").toString(),
                "serve",
                "--repository=models",
                "--port=0",
                "--http-port=0",
                "--drain-delay=0"));
    target = "localhost:" + sampler.awaitLine("gRPC on port (\\d+)").group(1);
    sampler.awaitLine("serving mnist28/1 on cpu");
    ManagedChannel channel =
        Grpc.newChannelBuilder(target, InsecureChannelCredentials.create()).build();
    try {
      image =
          SamplerServiceGrpc.newBlockingStub(channel)
              .generate(GenerateRequest.newBuilder().setSeed(42).setCount(1).build())
              .getPng(0)
              .toByteArray();
    } finally {
      channel.shutdownNow();
    }
  }

  @AfterAll
  static void stop() {
    if (sampler != null) {
      sampler.close();
    }
  }

  @Test
  void javaExample_writesImage() throws Exception {
    assertThat(Files.readString(README)).contains(JAVA_COMMAND);
    Path work = Files.createDirectories(folder.resolve("java"));
    Files.writeString(work.resolve("Client.java"), example(README, "java"));

    Program.run(
        work,
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            SAMPLER.resolve("lib") + "/*",
            "Client.java"));

    assertThat(work.resolve("image.png")).hasBinaryContent(image);
  }

  @Test
  void pythonExample_writesImage() throws Exception {
    Path work = Files.createDirectories(folder.resolve("python"));
    Path stubs = PythonStubs.generate(work);
    Files.writeString(work.resolve("client.py"), example(README, "python"));

    Program.run(work, List.of("env", "PYTHONPATH=" + stubs, PythonStubs.PYTHON, "client.py"));

    assertThat(work.resolve("image.png")).hasBinaryContent(image);
  }

  @Test
  void nodeExample_writesImage() throws Exception {
    assumeRuns(
        "node with @grpc/grpc-js and @grpc/proto-loader",
        "node",
        "-e",
        "require('@grpc/grpc-js'); require('@grpc/proto-loader')");
    Path work = Files.createDirectories(folder.resolve("node"));
    Matcher protos = PROTO_FOLDER.matcher(example(README, "js"));
    assertThat(protos.find()).isTrue();
    Files.writeString(
        work.resolve("client.js"), protos.replaceAll("\"" + PythonStubs.PROTOS + "\""));

    Program.run(work, List.of("node", "client.js"));

    assertThat(work.resolve("image.png")).hasBinaryContent(image);
  }

  @Test
  void latentArithmeticExample_writesContactSheet() throws Exception {
    Path work = Files.createDirectories(folder.resolve("arithmetic"));
    Path stubs = PythonStubs.generate(work);
    Files.writeString(
        work.resolve("arithmetic.py"), example(Path.of("../sampler/README.md"), "python"));

    Program.run(work, List.of("env", "PYTHONPATH=" + stubs, PythonStubs.PYTHON, "arithmetic.py"));

    BufferedImage sheet = ImageIO.read(work.resolve("arithmetic.png").toFile());
    assertThat(sheet.getWidth()).as("three means and their combination").isEqualTo(2 + 4 * 30);
    assertThat(sheet.getHeight()).isEqualTo(2 + 30);
  }

  /** The first code block of a language, with the address of the running sampler. */
  private static String example(Path document, String language) throws IOException {
    Matcher block =
        Pattern.compile("```" + language + "\n(.*?)```", Pattern.DOTALL)
            .matcher(Files.readString(document));
    assertThat(block.find()).as(language).isTrue();
    assertThat(block.group(1)).contains("\"localhost:50051\"");
    return block.group(1).replace("localhost:50051", target);
  }
}
