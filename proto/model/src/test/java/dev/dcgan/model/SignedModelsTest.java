package dev.dcgan.model;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SignedModelsTest {

  private static final Path OPENSSL = Path.of("/usr/bin/openssl");

  @TempDir Path root;

  private Path secret;
  private Path trusted;
  private Path models;
  private ModelRepository reader;

  @BeforeEach
  void publishSigned() throws IOException {
    secret = root.resolve("signing-key.pem");
    trusted = root.resolve("trusted-keys.pem");
    models = root.resolve("models");
    SigningKey.generate(secret, trusted);
    publish(ModelRepository.signing(models, SigningKey.read(secret)));
    reader = ModelRepository.trusting(models, TrustedKeys.read(trusted));
  }

  @Test
  void aSignedVersion_isOpenedAndDescribed() throws IOException {
    assertThat(reader.open("digits", 1).readModel()).isEqualTo(Models.ONNX);
    assertThat(reader.describe("digits", 1).version()).isEqualTo(1);
    assertThat(new ModelRepository(models).open("digits", 1).version()).isEqualTo(1);
  }

  @Test
  void anUnsignedVersion_isRefused() throws IOException {
    publish(new ModelRepository(models));

    assertThatThrownBy(() -> reader.open("digits", 2))
        .isInstanceOf(InvalidModelException.class)
        .hasMessage(
            "%s is missing; expected a version that one of the 1 trusted keys has signed",
            models.resolve("digits/2/manifest.sig"));
    assertThatThrownBy(() -> reader.describe("digits", 2))
        .isInstanceOf(InvalidModelException.class);
  }

  @Test
  void aChangedManifest_isRefused() throws IOException {
    Path manifest = models.resolve("digits/1/manifest.json");
    Files.writeString(manifest, Files.readString(manifest).replace("mnist28", "mnist29"));

    assertThatThrownBy(() -> reader.open("digits", 1))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("fits the manifest under none of the 1 trusted keys");
  }

  @Test
  void aChangedModelWithAFittingManifest_isRefused() throws IOException {
    Path manifest = models.resolve("digits/1/manifest.json");
    byte[] forged = "NOT read by the repository".getBytes(UTF_8);
    Files.write(models.resolve("digits/1/model.onnx"), forged);
    Files.writeString(
        manifest,
        Files.readString(manifest)
            .replace(new Sha256().add(Models.ONNX).hex(), new Sha256().add(forged).hex()));

    assertThat(new ModelRepository(models).open("digits", 1).readModel()).isEqualTo(forged);
    assertThatThrownBy(() -> reader.open("digits", 1))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("fits the manifest under none");
  }

  @Test
  void aSignatureOfAnotherKey_isRefusedUntilItIsTrusted() throws IOException {
    Path other = root.resolve("other.pem");
    SigningKey.generate(root.resolve("other-secret.pem"), other);
    publish(ModelRepository.signing(models, SigningKey.read(root.resolve("other-secret.pem"))));

    assertThatThrownBy(() -> reader.open("digits", 2))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("another key");

    Files.writeString(trusted, Files.readString(trusted) + Files.readString(other));
    ModelRepository both = ModelRepository.trusting(models, TrustedKeys.read(trusted));
    assertThat(both.open("digits", 1).version()).isEqualTo(1);
    assertThat(both.open("digits", 2).version()).isEqualTo(2);
  }

  @Test
  void aDamagedSignature_isRefused() throws IOException {
    Path signature = models.resolve("digits/1/manifest.sig");
    byte[] bytes = Files.readAllBytes(signature);
    for (byte[] damaged : List.of(new byte[0], new byte[63], new byte[64], new byte[1000])) {
      Files.write(signature, damaged);
      assertThatThrownBy(() -> reader.open("digits", 1)).isInstanceOf(InvalidModelException.class);
    }
    Files.write(signature, bytes);
    assertThat(reader.open("digits", 1).version()).isEqualTo(1);
  }

  @Test
  void aVersionWithoutManifest_isRefused() throws IOException {
    Files.delete(models.resolve("digits/1/manifest.json"));

    assertThatThrownBy(
            () -> reader.openUnverified("digits", 1, onnx -> Models.draft("digits").build()))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("no manifest that could be signed");
  }

  @Test
  void aSignature_isOneForOpenssl() throws Exception {
    assumeTrue(Files.isExecutable(OPENSSL), "openssl is absent");

    Process verify =
        new ProcessBuilder(
                OPENSSL.toString(),
                "pkeyutl",
                "-verify",
                "-pubin",
                "-inkey",
                trusted.toString(),
                "-rawin",
                "-in",
                models.resolve("digits/1/manifest.json").toString(),
                "-sigfile",
                models.resolve("digits/1/manifest.sig").toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(verify.getInputStream().readAllBytes(), UTF_8);

    assertThat(verify.waitFor()).as(said).isZero();
  }

  @Test
  void aKeyOfOpenssl_signs() throws Exception {
    assumeTrue(Files.isExecutable(OPENSSL), "openssl is absent");
    Path key = root.resolve("openssl.pem");

    assertThat(
            new ProcessBuilder(
                    OPENSSL.toString(), "genpkey", "-algorithm", "ed25519", "-out", key.toString())
                .start()
                .waitFor())
        .isZero();
    publish(ModelRepository.signing(models, SigningKey.read(key)));

    assertThat(models.resolve("digits/2/manifest.sig")).hasSize(64);
  }

  @Test
  void generate_neverOverwrites_andKeepsTheKeyPrivate() throws IOException {
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(secret)))
        .isEqualTo("rw-------");
    assertThatThrownBy(() -> SigningKey.generate(root.resolve("new.pem"), trusted))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("trusted-keys.pem exists already");
    assertThat(root.resolve("new.pem")).doesNotExist();
  }

  @Test
  void filesThatAreNoKeys_areNamed() throws IOException {
    Path empty = Files.createFile(root.resolve("empty.pem"));
    Path damaged = root.resolve("damaged.pem");
    Files.writeString(
        damaged, Files.readString(trusted).replaceAll("\n[A-Za-z0-9+/=]+\n", "\nAAAA\n"));

    assertThatThrownBy(() -> TrustedKeys.read(root.resolve("absent.pem")))
        .hasMessageContaining("absent.pem: no such file");
    assertThatThrownBy(() -> TrustedKeys.read(empty)).hasMessageContaining("has no public key");
    assertThatThrownBy(() -> TrustedKeys.read(damaged))
        .hasMessageContaining("public key 1 is damaged or of another type; expected Ed25519");
    assertThatThrownBy(() -> TrustedKeys.read(secret)).hasMessageContaining("has no public key");
    assertThatThrownBy(() -> SigningKey.read(trusted)).hasMessageContaining("has 0 private keys");
  }

  private static void publish(ModelRepository repository) throws IOException {
    repository.publish(Models.draft("digits").build(), Models.ONNX);
  }
}
