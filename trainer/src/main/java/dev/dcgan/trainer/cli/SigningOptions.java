package dev.dcgan.trainer.cli;

import dev.dcgan.model.SigningKey;
import dev.dcgan.server.Validator;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The key that signs what is published. */
final class SigningOptions {

  @Option(
      names = "--signing-key",
      paramLabel = "FILE",
      description =
          "Private key that signs published models, made by `trainer keygen`; samplers with"
              + " --trusted-keys serve only those. Default: none, they are not signed")
  private @Nullable Path file;

  void check(Validator problems) {
    Path given = file;
    if (given != null) {
      problems.requireReadable("--signing-key", () -> SigningKey.read(given));
    }
  }

  /** The key; null: none was given. */
  @Nullable SigningKey key() throws IOException {
    return file == null ? null : SigningKey.read(file);
  }
}
