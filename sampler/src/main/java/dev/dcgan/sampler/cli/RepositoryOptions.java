package dev.dcgan.sampler.cli;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.TrustedKeys;
import dev.dcgan.server.Validator;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Option;

/** The model repository, and which of its versions are trusted. */
final class RepositoryOptions {

  @Option(names = "--repository", description = "Model repository folder.")
  private Path repository = Path.of("models");

  @Option(
      names = "--trusted-keys",
      paramLabel = "FILE",
      showDefaultValue = Visibility.NEVER,
      description =
          "Public keys, made by `trainer keygen`, of which one must have signed a version. Default:"
              + " none, versions need not be signed")
  private @Nullable Path trustedKeys;

  void check(Validator problems) {
    if (trustedKeys != null) {
      problems.requireReadable("--trusted-keys", this::repository);
    }
  }

  /** Whether versions must be signed. */
  boolean requiresSignatures() {
    return trustedKeys != null;
  }

  ModelRepository repository() throws IOException {
    return ModelRepository.trusting(
        repository, trustedKeys == null ? null : TrustedKeys.read(trustedKeys));
  }
}
