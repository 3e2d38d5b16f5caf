package dev.dcgan.model;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import dev.dcgan.latent.Latents;
import dev.dcgan.v1.GoldenVector;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;

/**
 * One published version on disk: a folder with {@code model.onnx} and {@code manifest.json} that
 * agree.
 *
 * <p>An instance exists only for a version whose manifest, size and golden latents were found
 * right; where it was asked for, also for one that has no manifest. The digest was found right too,
 * unless the version was only {@link #describe described}; what {@link #openModel} gives has it in
 * any case. The golden images are for who runs the network to check. Immutable.
 */
public final class ModelBundle {

  /** The newest manifest format that this code writes and reads. */
  public static final int FORMAT_VERSION = 1;

  /** How a manifest names the law pixel = round((x + 1) * 127.5). */
  public static final String NORMALISATION = "round((x+1)*127.5)";

  static final String MODEL_FILE = "model.onnx";
  static final String MANIFEST_FILE = "manifest.json";

  private static final int MAX_LATENT_SIZE = 65_536;
  private static final long MAX_MANIFEST_BYTES = 16L << 20;
  // The most that a protobuf message may have, which ONNX Runtime keeps to.
  private static final long MAX_MODEL_BYTES = Integer.MAX_VALUE;

  /** Reads from a model itself what a manifest would say. */
  public interface Describer {

    /**
     * Shape and latent size, and what else the model tells.
     *
     * @throws InvalidModelException it is no generator
     */
    ModelManifest describe(ModelFile onnx) throws IOException;
  }

  private final Path folder;
  private final ModelManifest manifest;
  private final boolean unverified;

  private ModelBundle(Path folder, ModelManifest manifest, boolean unverified) {
    this.folder = folder;
    this.manifest = manifest;
    this.unverified = unverified;
  }

  /**
   * Opens and validates the version in {@code folder}.
   *
   * @throws InvalidModelException damaged, incomplete, of a newer format, or against the latent law
   */
  public static ModelBundle open(Path folder) throws IOException {
    ModelBundle bundle = validate(folder);
    bundle.requireOwnFolder();
    return bundle;
  }

  /**
   * Opens the version in {@code folder} without reading its model, which may be large.
   *
   * @throws InvalidModelException as {@link #open}, but that the digest is not checked
   */
  static ModelBundle describe(Path folder) throws IOException {
    ModelBundle bundle = validateManifest(folder);
    bundle.requireOwnFolder();
    return bundle;
  }

  /** Validates all but the folder's own name: a version is checked before it gets that. */
  static ModelBundle validate(Path folder) throws IOException {
    ModelBundle bundle = validateManifest(folder);
    bundle.openModel();
    return bundle;
  }

  private static ModelBundle validateManifest(Path folder) throws IOException {
    ModelManifest manifest = readManifest(folder.resolve(MANIFEST_FILE));
    check(folder, manifest);
    ModelBundle bundle = new ModelBundle(folder, manifest, false);
    bundle.requireSize();
    return bundle;
  }

  /** Whether {@code folder} has a model, but no manifest that would tell whether it is the one. */
  static boolean isBare(Path folder) {
    return Files.isRegularFile(folder.resolve(MODEL_FILE))
        && Files.notExists(folder.resolve(MANIFEST_FILE));
  }

  /**
   * Opens a version without a manifest. Its digest is that of the bytes which are there now, and it
   * has no golden vectors.
   *
   * @throws InvalidModelException it does not describe a generator
   */
  static ModelBundle openUnverified(Path folder, String name, long version, Describer describer)
      throws IOException {
    Path file = folder.resolve(MODEL_FILE);
    sizeOf(file, MAX_MODEL_BYTES);
    ModelFile onnx = ModelFile.digest(file);
    ModelManifest.Builder manifest =
        describer.describe(onnx).toBuilder()
            .setOnnxBytes(onnx.size())
            .setLatentLaw(Latents.LAW)
            .setNormalisation(NORMALISATION);
    onnx.requireUnchanged();
    manifest.getModelBuilder().setName(name).setVersion(version).setSha256(onnx.sha256());
    checkSizes(folder, manifest.build());
    return new ModelBundle(folder, manifest.build(), true);
  }

  /**
   * The file model.onnx, whose size and digest were found to be those of the manifest.
   *
   * @throws InvalidModelException where they disagree
   */
  @CanIgnoreReturnValue // To check it is reason enough to call.
  public ModelFile openModel() throws IOException {
    Path file = requireSize();
    ModelFile onnx = ModelFile.digest(file);
    if (!onnx.sha256().equals(manifest.getModel().getSha256())) {
      throw new InvalidModelException(
          "%s has SHA-256 %s; its manifest says %s: publish the version again"
              .formatted(file, onnx.sha256(), manifest.getModel().getSha256()));
    }
    return onnx;
  }

  /**
   * The bytes of a model that is known to be small, checked as by {@link #openModel}.
   *
   * @throws InvalidModelException where they disagree
   */
  public byte[] readModel() throws IOException {
    ModelFile onnx = openModel();
    byte[] bytes = Files.readAllBytes(onnx.path());
    onnx.requireUnchanged();
    return bytes;
  }

  private Path requireSize() throws IOException {
    Path file = folder.resolve(MODEL_FILE);
    long size = sizeOf(file, MAX_MODEL_BYTES);
    if (size != manifest.getOnnxBytes()) {
      throw new InvalidModelException(
          "%s has %d bytes; its manifest says %d: publish the version again"
              .formatted(file, size, manifest.getOnnxBytes()));
    }
    return file;
  }

  public Path folder() {
    return folder;
  }

  public ModelManifest manifest() {
    return manifest;
  }

  /** Whether there is no manifest on disk: nothing says what the model should be. */
  public boolean unverified() {
    return unverified;
  }

  public String name() {
    return manifest.getModel().getName();
  }

  public long version() {
    return manifest.getModel().getVersion();
  }

  public ImageShape shape() {
    return ImageShape.fromProto(manifest.getShape());
  }

  public int latentSize() {
    return manifest.getLatentSize();
  }

  /** Name and version, as a person reads them: {@code mnist/3}. */
  @Override
  public String toString() {
    return name() + "/" + version();
  }

  private static ModelManifest readManifest(Path file) throws IOException {
    sizeOf(file, MAX_MANIFEST_BYTES);
    ModelManifest.Builder manifest = ModelManifest.newBuilder();
    try {
      // A newer format may have fields that this code does not know; it must get as far as its
      // version.
      JsonFormat.parser()
          .ignoringUnknownFields()
          .merge(new String(Files.readAllBytes(file), StandardCharsets.UTF_8), manifest);
    } catch (InvalidProtocolBufferException e) {
      // The lines after the first are the parser's advice to programmers.
      String found = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      throw new InvalidModelException(file + " is not a model manifest: " + found, e);
    }
    if (manifest.getFormatVersion() == 0) {
      throw new InvalidModelException(
          "%s has no format_version; expected 1 to %d: is it a model manifest?"
              .formatted(file, FORMAT_VERSION));
    }
    if (Integer.compareUnsigned(manifest.getFormatVersion(), FORMAT_VERSION) > 0) {
      throw new InvalidModelException(
          "%s has format_version %s; this program reads 1 to %d: use a newer program"
              .formatted(
                  file, Integer.toUnsignedString(manifest.getFormatVersion()), FORMAT_VERSION));
    }
    return manifest.build();
  }

  private static long sizeOf(Path file, long limit) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new InvalidModelException(file + " is missing: the version is incomplete");
    }
    long size = Files.size(file);
    if (size > limit) {
      throw new InvalidModelException(
          "%s has %d bytes; expected at most %d".formatted(file, size, limit));
    }
    return size;
  }

  private void requireOwnFolder() throws InvalidModelException {
    Path own = folder.toAbsolutePath().normalize();
    Path model = own.getParent();
    if (model == null
        || !String.valueOf(own.getFileName()).equals(Long.toString(version()))
        || !String.valueOf(model.getFileName()).equals(name())) {
      throw new InvalidModelException(
          "%s holds the manifest of '%s': was the folder renamed?".formatted(folder, this));
    }
  }

  private static void check(Path folder, ModelManifest manifest) throws InvalidModelException {
    ImageShape shape = checkSizes(folder, manifest);
    if (!manifest.getLatentLaw().equals(Latents.LAW)) {
      throw new InvalidModelException(
          "%s uses the latent law '%s'; this program knows '%s'"
              .formatted(folder, manifest.getLatentLaw(), Latents.LAW));
    }
    if (manifest.getGoldenCount() == 0) {
      throw new InvalidModelException(folder + " has no golden vectors: nothing to verify it by");
    }
    for (GoldenVector golden : manifest.getGoldenList()) {
      checkGolden(folder, manifest.getLatentSize(), shape, golden);
    }
  }

  private static ImageShape checkSizes(Path folder, ModelManifest manifest)
      throws InvalidModelException {
    ImageShape shape;
    try {
      shape = ImageShape.fromProto(manifest.getShape());
    } catch (IllegalArgumentException e) {
      throw new InvalidModelException(folder + ": " + e.getMessage(), e);
    }
    if (manifest.getLatentSize() < 1 || manifest.getLatentSize() > MAX_LATENT_SIZE) {
      throw new InvalidModelException(
          "%s has latent_size %s; expected 1 to %d"
              .formatted(
                  folder, Integer.toUnsignedString(manifest.getLatentSize()), MAX_LATENT_SIZE));
    }
    return shape;
  }

  private static void checkGolden(
      Path folder, int latentSize, ImageShape shape, GoldenVector golden)
      throws InvalidModelException {
    String which =
        "%s, golden vector of (seed %s, index %s)"
            .formatted(
                folder,
                Long.toUnsignedString(golden.getSeed()),
                Long.toUnsignedString(golden.getIndex()));
    if (golden.getPixels().size() != shape.values()) {
      throw new InvalidModelException(
          "%s: %d pixel bytes; expected %d for %s"
              .formatted(which, golden.getPixels().size(), shape.values(), shape));
    }
    byte[] expected =
        littleEndian(Latents.of(golden.getSeed(), golden.getIndex(), latentSize)).array();
    if (!MessageDigest.isEqual(expected, golden.getLatent().toByteArray())) {
      throw new InvalidModelException(
          which + ": the latent differs from what this program's latent law gives");
    }
  }

  /**
   * Floats as little-endian bytes, the form in which latents and FLOAT images are kept and sent.
   */
  public static ByteBuffer littleEndian(float[] values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return bytes;
  }
}
