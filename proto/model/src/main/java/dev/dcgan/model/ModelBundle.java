package dev.dcgan.model;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import dev.dcgan.latent.Labels;
import dev.dcgan.latent.Latents;
import dev.dcgan.v1.GoldenVector;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * One published version on disk: a folder with a {@code model.onnx} and a matching {@code
 * manifest.json}.
 *
 * <p>The manifest, the size and the golden latents of every instance are valid, except for a
 * version without a manifest, which {@link #openUnverified} opens. The digest is valid too, unless
 * the version was only {@link #describe described}; {@link #openModel} always checks it. The golden
 * images are checked by the code that runs the network. Immutable.
 */
public final class ModelBundle {

  /** The version of the manifest format of a model without classes. */
  public static final int FORMAT_VERSION = 2;

  /** The version of the manifest format of a conditional model. */
  public static final int CONDITIONAL_FORMAT_VERSION = 3;

  /** The name of the pixel quantization in a manifest. */
  public static final String PIXEL_QUANTIZATION = "round((x+1)*127.5)";

  static final String MODEL_FILE = "model.onnx";
  static final String MANIFEST_FILE = "manifest.json";
  static final String SIGNATURE_FILE = "manifest.sig";

  private static final int MAX_LATENT_SIZE = 65_536;
  private static final long MAX_MANIFEST_BYTES = 16L << 20;
  // The trainer writes five.
  private static final int MAX_GOLDEN_VECTORS = 64;
  // Callers get all of the manifest but its golden vectors.
  private static final int MAX_DESCRIPTION_BYTES = 1 << 20;
  // The maximum size of a protobuf message, which ONNX Runtime enforces.
  private static final long MAX_MODEL_BYTES = Integer.MAX_VALUE;

  /** Reads a model's properties from the model itself, in place of a manifest. */
  public interface Describer {

    /**
     * Returns a manifest with the shape, the latent size and whatever else the model reveals.
     *
     * @throws InvalidModelException if the model is not a generator
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
   * @param trusted the keys of which one must have signed it; null: it need not be signed
   * @throws InvalidModelException if it is damaged, incomplete, of another format, of another
   *     latent sampling scheme, or not signed as it must be
   */
  static ModelBundle open(Path folder, @Nullable TrustedKeys trusted) throws IOException {
    ModelBundle bundle = validate(folder, trusted);
    bundle.requireOwnFolder();
    return bundle;
  }

  /**
   * Opens the version in {@code folder} without reading its model, which may be large.
   *
   * @throws InvalidModelException as for {@link #open}, except that the digest is not checked
   */
  static ModelBundle describe(Path folder, @Nullable TrustedKeys trusted) throws IOException {
    ModelBundle bundle = validateManifest(folder, trusted);
    bundle.requireOwnFolder();
    return bundle;
  }

  /** Validates everything except the folder's name, which a new version gets after validation. */
  static ModelBundle validate(Path folder, @Nullable TrustedKeys trusted) throws IOException {
    ModelBundle bundle = validateManifest(folder, trusted);
    bundle.openModel();
    return bundle;
  }

  private static ModelBundle validateManifest(Path folder, @Nullable TrustedKeys trusted)
      throws IOException {
    requireModelFile(folder);
    Path file = folder.resolve(MANIFEST_FILE);
    byte[] json = readBytes(file, MAX_MANIFEST_BYTES);
    if (trusted != null) {
      trusted.verify(json, folder.resolve(SIGNATURE_FILE)); // before anything interprets it
    }
    ModelManifest manifest = parseManifest(file, json);
    check(folder, manifest);
    ModelBundle bundle = new ModelBundle(folder, manifest, false);
    bundle.requireSize();
    return bundle;
  }

  /** Whether {@code folder} has a model but no manifest. */
  static boolean isBare(Path folder) {
    return Files.isRegularFile(folder.resolve(MODEL_FILE))
        && Files.notExists(folder.resolve(MANIFEST_FILE));
  }

  /**
   * Opens a version that has no manifest. The instance has the digest of the current bytes and no
   * golden vectors.
   *
   * @throws InvalidModelException if the model is not a generator
   */
  static ModelBundle openUnverified(Path folder, String name, long version, Describer describer)
      throws IOException {
    Path file = folder.resolve(MODEL_FILE);
    sizeOf(file, MAX_MODEL_BYTES);
    FileKind.requireModel(file);
    ModelFile onnx = ModelFile.digest(file);
    ModelManifest.Builder manifest =
        describer.describe(onnx).toBuilder()
            .setOnnxBytes(onnx.size())
            .setLatentScheme(Latents.SCHEME)
            .setPixelQuantization(PIXEL_QUANTIZATION);
    onnx.requireUnchanged();
    manifest.getModelBuilder().setName(name).setVersion(version).setSha256(onnx.sha256());
    checkSizes(folder, manifest.build());
    return new ModelBundle(folder, manifest.build(), true);
  }

  /**
   * Verifies the size and the digest of model.onnx against the manifest and returns the file.
   *
   * @throws InvalidModelException if they do not match
   */
  @CanIgnoreReturnValue // Some callers only verify the file.
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
   * Returns the bytes of a small model, verified as by {@link #openModel}.
   *
   * @throws InvalidModelException if they do not match the manifest
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
      FileKind.requireModel(file);
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

  /** Whether the version has no manifest on disk, so that it could not be verified. */
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

  /** The classes of a conditional model; empty: the model is not conditional. */
  public Optional<ImageClasses> classes() {
    return classes(manifest);
  }

  /** The version of the format that a manifest needs. */
  static int formatVersion(ModelManifest manifest) {
    return manifest.getClassesCount() == 0 ? FORMAT_VERSION : CONDITIONAL_FORMAT_VERSION;
  }

  private static Optional<ImageClasses> classes(ModelManifest manifest) {
    return manifest.getClassesCount() == 0
        ? Optional.empty()
        : Optional.of(ImageClasses.fromProto(manifest.getClassesList()));
  }

  /** The name and the version, for example {@code mnist/3}. */
  @Override
  public String toString() {
    return name() + "/" + version();
  }

  /** Reads a file that is small, unless someone means harm. */
  static byte[] readBytes(Path file, long limit) throws IOException {
    sizeOf(file, limit);
    try (InputStream in = Files.newInputStream(file)) {
      return in.readNBytes((int) limit); // It may have grown.
    }
  }

  static ModelManifest parseManifest(Path file, byte[] json) throws IOException {
    Optional<String> problem = JsonLimits.problem(json);
    if (problem.isPresent()) {
      throw new InvalidModelException(
          "%s is not a model manifest: it has %s; expected one as the trainer writes it"
              .formatted(file, problem.get()));
    }
    ModelManifest.Builder manifest = ModelManifest.newBuilder();
    try {
      // A newer format may have unknown fields; its version must be read nevertheless.
      JsonFormat.parser()
          .ignoringUnknownFields()
          .merge(new String(json, StandardCharsets.UTF_8), manifest);
    } catch (InvalidProtocolBufferException e) {
      // The lines after the first are advice to programmers.
      String found = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      throw new InvalidModelException(file + " is not a model manifest: " + found, e);
    }
    if (manifest.getFormatVersion() == 0) {
      throw new InvalidModelException(
          "%s has no format_version; expected %d: is it a model manifest?"
              .formatted(file, FORMAT_VERSION));
    }
    int version = manifest.getFormatVersion();
    if (version != FORMAT_VERSION && version != CONDITIONAL_FORMAT_VERSION) {
      throw new InvalidModelException(
          "%s has format_version %s; expected %d or %d: %s"
              .formatted(
                  file,
                  Integer.toUnsignedString(version),
                  FORMAT_VERSION,
                  CONDITIONAL_FORMAT_VERSION,
                  version == 1
                      ? "publish the model again with this version of the trainer"
                      : "use a newer program"));
    }
    return manifest.build();
  }

  private static void requireModelFile(Path folder) throws InvalidModelException {
    String reason = Surveyor.missingModel(folder);
    if (reason != null) {
      throw new InvalidModelException(folder + " " + reason);
    }
  }

  private static long sizeOf(Path file, long limit) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new InvalidModelException(file + " is missing; the version is incomplete");
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
          "%s holds the manifest of '%s'; was the folder renamed?".formatted(folder, this));
    }
  }

  static void check(Path folder, ModelManifest manifest) throws InvalidModelException {
    ImageShape shape = checkSizes(folder, manifest);
    if (!manifest.getLatentScheme().equals(Latents.SCHEME)) {
      throw new InvalidModelException(
          "%s has the latent sampling scheme '%s'; expected '%s'"
              .formatted(folder, manifest.getLatentScheme(), Latents.SCHEME));
    }
    Optional<ImageClasses> classes = checkClasses(folder, manifest);
    if (manifest.getGoldenCount() == 0) {
      throw new InvalidModelException(folder + " has no golden vectors; expected at least one");
    }
    if (manifest.getGoldenCount() > MAX_GOLDEN_VECTORS) {
      throw new InvalidModelException(
          "%s has %d golden vectors; expected at most %d"
              .formatted(folder, manifest.getGoldenCount(), MAX_GOLDEN_VECTORS));
    }
    int described = manifest.toBuilder().clearGolden().build().getSerializedSize();
    if (described > MAX_DESCRIPTION_BYTES) {
      throw new InvalidModelException(
          "%s has a manifest of %d bytes without its golden vectors; expected at most %d"
              .formatted(folder, described, MAX_DESCRIPTION_BYTES));
    }
    for (GoldenVector golden : manifest.getGoldenList()) {
      checkGolden(folder, manifest.getLatentSize(), shape, golden);
      int label = classes.map(c -> c.draw(golden.getSeed(), golden.getIndex())).orElse(0);
      if (golden.getLabel() != label) {
        throw new InvalidModelException(
            "%s: label %s; expected %d"
                .formatted(
                    which(folder, golden), Integer.toUnsignedString(golden.getLabel()), label));
      }
    }
  }

  private static Optional<ImageClasses> checkClasses(Path folder, ModelManifest manifest)
      throws InvalidModelException {
    boolean isConditional = manifest.getFormatVersion() == CONDITIONAL_FORMAT_VERSION;
    String scheme = isConditional ? Labels.SCHEME : "";
    if (!manifest.getLabelScheme().equals(scheme)) {
      throw new InvalidModelException(
          "%s has the label scheme '%s'; expected '%s'"
              .formatted(folder, manifest.getLabelScheme(), scheme));
    }
    if (isConditional != (manifest.getClassesCount() > 0)) {
      throw new InvalidModelException(
          "%s has format_version %d and %d classes; expected classes in version %d alone"
              .formatted(
                  folder,
                  manifest.getFormatVersion(),
                  manifest.getClassesCount(),
                  CONDITIONAL_FORMAT_VERSION));
    }
    try {
      return classes(manifest);
    } catch (IllegalArgumentException e) {
      throw new InvalidModelException(folder + ": " + e.getMessage(), e);
    }
  }

  private static String which(Path folder, GoldenVector golden) {
    return "%s, golden vector of (seed %s, index %s)"
        .formatted(
            folder,
            Long.toUnsignedString(golden.getSeed()),
            Long.toUnsignedString(golden.getIndex()));
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
    String which = which(folder, golden);
    if (golden.getPixels().size() != shape.values()) {
      throw new InvalidModelException(
          "%s: %d pixel bytes; expected %d for %s"
              .formatted(which, golden.getPixels().size(), shape.values(), shape));
    }
    byte[] expected =
        littleEndian(Latents.of(golden.getSeed(), golden.getIndex(), latentSize)).array();
    if (!MessageDigest.isEqual(expected, golden.getLatent().toByteArray())) {
      throw new InvalidModelException(
          which + ": the latent differs from the one that the latent sampling scheme gives");
    }
  }

  /** Encodes floats as little-endian bytes, the form of stored latents and of FLOAT images. */
  public static ByteBuffer littleEndian(float[] values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return bytes;
  }
}
