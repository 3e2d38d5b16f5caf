package dev.dcgan.trainer.cli;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.model.SigningKey;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import java.io.IOException;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code trainer keygen}: makes the keys for signed models. */
@Command(
    name = "keygen",
    description = {
      "Makes a key that signs models (--signing-key) and its public key (sampler serve"
          + " --trusted-keys)."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false,
    showDefaultValues = true)
public final class KeygenCommand implements Settings.Command {

  private static final Logger log = LoggerFactory.getLogger(KeygenCommand.class);

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "Folder for both files, signing-key.pem and trusted-keys.pem.")
  private Path out = Path.of(".");

  @Override
  public void check(Validator problems) {}

  @Override
  public Integer call() throws IOException {
    AtomicFiles.createFolder(out);
    Path secret = out.resolve("signing-key.pem");
    Path trusted = out.resolve("trusted-keys.pem");
    SigningKey.generate(secret, trusted);
    log.info("{} signs models; keep it secret", secret);
    log.info("{} verifies them; give it to the samplers", trusted);
    return 0;
  }
}
