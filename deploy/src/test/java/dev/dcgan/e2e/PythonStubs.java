package dev.dcgan.e2e;

import static dev.dcgan.e2e.Program.assumeRuns;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The Python stubs of all services that the sampler serves. */
final class PythonStubs {

  /** Debian's Python: another one on the PATH would not have Debian's packages. */
  static final String PYTHON = "/usr/bin/python3";

  static final Path PROTOS = Path.of("../proto/api/src/main/proto").toAbsolutePath().normalize();

  private PythonStubs() {}

  /** Generates the stubs in a folder; skips the test if protoc or a package is absent. */
  static Path generate(Path parent) throws IOException, InterruptedException {
    assumeRuns("python3-grpcio and python3-protobuf", PYTHON, "-c", "import grpc, google.protobuf");
    assumeRuns("protobuf-compiler", "protoc", "--version");
    assumeTrue(
        Files.isExecutable(Path.of("/usr/bin/grpc_python_plugin")),
        "protobuf-compiler-grpc is absent: not called from Python");
    Path stubs = Files.createDirectories(parent.resolve("stubs"));
    Program.run(
        parent,
        List.of(
            "protoc",
            "-I" + PROTOS,
            "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin",
            "--python_out=" + stubs,
            "--grpc_python_out=" + stubs,
            "dcgan/v1/model.proto",
            "dcgan/v1/sampler.proto",
            "inference/grpc_service.proto"));
    return stubs;
  }
}
