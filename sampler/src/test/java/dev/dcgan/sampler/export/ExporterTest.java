package dev.dcgan.sampler.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnxruntime.OrtException;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.image.ImageEncoder;
import dev.dcgan.sampler.models.LabelChoice;
import dev.dcgan.sampler.models.VerifiedNetworks;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchSlice;
import dev.dcgan.sampler.scheduling.LatencyProfile;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.server.ConditionalModels;
import dev.dcgan.sampler.server.TestModels;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ExporterTest {

  private static final long SEED = -7;
  private static final int FIRST = 5;
  private static final int COUNT = 70;
  private static final int SHARD = 8; // So there are nine, the last of six images.

  @TempDir private Path root;
  private Path out = Path.of("");
  private ModelRepository repository = new ModelRepository(out);

  @BeforeEach
  void publish() throws IOException {
    out = root.resolve("out");
    repository = new ModelRepository(root.resolve("models"));
    TestModels.publish(repository, "digits", 3, 1);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 7, 50})
  void anyNumberOfParts_writesTheSameFiles(int parts) throws IOException {
    export(new Options());
    Map<String, byte[]> whole = files(out);
    assertThat(whole.keySet())
        .hasSize(10)
        .contains("export.json", "digits-000000.tar", "digits-000008.tar");

    Path shared = root.resolve("shared");
    List<Integer> order = new ArrayList<>();
    for (int part = 0; part < parts; part++) {
      order.add(part % 2 == 0 ? part : order.size() / 2, part);
    }
    for (int part : order) {
      Options options = new Options();
      options.out = shared;
      options.part = part;
      options.parts = parts;
      options.sessions = 1 + part % 3;
      options.maxBatch = 1 + part * 5 % 32;
      assertThat(export(options)).isTrue();
    }

    assertSame(files(shared), whole);
  }

  @Test
  void images_areThoseOfTheSeed_namedByTheirIndex() throws IOException {
    export(new Options());
    ModelBundle bundle = repository.open("digits", 1);
    ImageShape shape = bundle.shape();
    int index = FIRST;
    try (Network network = OnnxModel.open(bundle, runtime(Provider.CPU), 1, 1).get(0)) {
      for (int shard = 0; shard < 9; shard++) {
        try (TarArchiveInputStream tar = open(out.resolve("digits-%06d.tar".formatted(shard)))) {
          for (TarArchiveEntry entry = tar.getNextEntry();
              entry != null;
              entry = tar.getNextEntry()) {
            assertThat(entry.getName()).isEqualTo("%020d.png".formatted(index));
            byte[] pixels =
                network.generate(Latents.of(SEED, index, TestModels.LATENT), Output.PIXELS).bytes();
            assertThat(tar.readAllBytes()).isEqualTo(ImageEncoder.png(shape, pixels, 0));
            assertThat(entry.getMode()).isEqualTo(0644);
            assertThat(entry.getLastModifiedTime().toMillis()).isZero();
            assertThat(entry.getLongUserId()).isZero();
            assertThat(entry.getLongGroupId()).isZero();
            assertThat(entry.getUserName() + entry.getGroupName()).isEmpty();
            assertThat(entry.isFile()).isTrue();
            index++;
          }
        }
      }
    }
    assertThat(index).isEqualTo(FIRST + COUNT);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "dog", "2,dog,dog"})
  void labels_areFilesBesideTheImages(String requested) throws IOException {
    ModelBundle bundle = ConditionalModels.publish(repository, "pets", 1);
    Options options = new Options();
    options.model = "pets";
    options.labels = requested.isEmpty() ? List.of() : List.of(requested.split(","));
    options.shards = new Shards(FIRST, 23, 10);
    options.maxBatch = 5;
    export(options);

    Map<String, byte[]> whole = files(out);
    LabelChoice choice = LabelChoice.of(bundle.classes(), options.labels);
    Set<Integer> seen = new TreeSet<>();
    long index = FIRST;
    try (Network network = OnnxModel.open(bundle, runtime(Provider.CPU), 1, 1).get(0)) {
      for (int shard = 0; shard < 3; shard++) {
        try (TarArchiveInputStream tar = open(out.resolve("pets-%06d.tar".formatted(shard)))) {
          for (TarArchiveEntry entry = tar.getNextEntry();
              entry != null;
              entry = tar.getNextEntry()) {
            int label = choice.label(SEED, index);
            seen.add(label);
            assertThat(entry.getName()).isEqualTo("%020d.png".formatted(index));
            byte[] pixels =
                network
                    .generate(
                        Latents.of(SEED, index, TestModels.LATENT),
                        new long[] {label},
                        Output.PIXELS)
                    .bytes();
            assertThat(tar.readAllBytes()).isEqualTo(ImageEncoder.png(bundle.shape(), pixels, 0));
            assertThat(tar.getNextEntry().getName()).isEqualTo("%020d.cls".formatted(index));
            assertThat(tar.readAllBytes())
                .asString(StandardCharsets.US_ASCII)
                .isEqualTo(Integer.toString(label));
            index++;
          }
        }
      }
    }
    assertThat(index).isEqualTo(FIRST + 23);
    assertThat(seen).hasSize(requested.isEmpty() ? 3 : requested.equals("dog") ? 1 : 2);
    assertThat(out.resolve("export.json"))
        .content()
        .contains("\"classes\": [\"cat\", \"2\", \"dog\"]");

    options.out = root.resolve("again");
    for (int part = 0; part < 2; part++) {
      options.part = part;
      options.parts = 2;
      options.sessions = 1 + part;
      options.maxBatch = 1 + 6 * part;
      export(options);
    }
    assertSame(files(options.out), whole);
    options.labels = List.of("cat");
    assertThatThrownBy(() -> export(options))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(", not [cat]");
  }

  @Test
  void unknownLabels_areRefused_withTheClasses() throws IOException {
    ConditionalModels.publish(repository, "pets", 1);
    Options options = new Options();
    options.labels = List.of("7");
    assertThatThrownBy(() -> export(options))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "cannot export digits/1: label '7': the model has no classes; leave the label out");
    options.model = "pets";
    assertThatThrownBy(() -> export(options))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith("cannot export pets/1: label '7': ")
        .hasMessageEndingWith("cat (0), 2 (1), dog (2)");
    assertThat(files(out)).isEmpty();
  }

  @Test
  void fixedBatchSize_inAnyNumberOfParts_writesTheSameShards() throws IOException {
    export(new Options());
    Map<String, byte[]> whole = files(out);
    whole.remove("export.json");

    Path shared = root.resolve("fixed");
    Files.createDirectories(shared);
    for (int part = 0; part < 3; part++) {
      Options options = new Options();
      options.out = shared;
      options.part = part;
      options.parts = 3;
      options.sessions = 1 + part;
      exportInRunsOf(5, options);
    }

    assertSame(files(shared), whole);
  }

  @Test
  void aShard_isReadByGnuTar() throws Exception {
    Options options = new Options();
    options.shards = new Shards(-3, 3, 8);
    export(options);
    Process tar =
        new ProcessBuilder("tar", "--list", "--verbose", "--utc", "-f", out + "/digits-000000.tar")
            .redirectErrorStream(true)
            .start();
    List<String> lines =
        new String(tar.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    assertThat(tar.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(tar.exitValue()).isZero();
    assertThat(lines).hasSize(3);
    for (int i = 0; i < 3; i++) {
      assertThat(lines.get(i))
          .matches(
              "-rw-r--r-- 0/0 +\\d+ 1970-01-01 00:00 1844674407370955161%d.png".formatted(3 + i));
    }
  }

  @Test
  void again_writesTheSameBytesAnew() throws IOException {
    export(new Options());
    Map<String, byte[]> before = files(out);
    Map<String, Object> keys = keys();
    assertThat(export(new Options())).isTrue();
    assertSame(files(out), before);
    assertThat(keys().get("digits-000003.tar")).isNotEqualTo(keys.get("digits-000003.tar"));
    assertThat(keys().get("export.json")).isEqualTo(keys.get("export.json"));
  }

  @Test
  void again_withKeepExisting_writesOnlyMissingShards() throws IOException {
    export(new Options());
    Map<String, byte[]> before = files(out);
    Files.delete(out.resolve("digits-000003.tar"));
    Files.delete(out.resolve("digits-000008.tar"));
    Map<String, Object> keys = keys();

    Options options = new Options();
    options.keepExisting = true;
    assertThat(export(options)).isTrue();

    assertSame(files(out), before);
    assertThat(keys()).containsAllEntriesOf(keys);
  }

  @Test
  void stopped_leavesWholeShards_andARetryWritesTheRest() throws IOException {
    Path second = out.resolve("digits-000001.tar");
    Options options = new Options();
    options.maxBatch = 1;
    assertThat(export(options, () -> Files.exists(second))).isFalse();
    Map<String, byte[]> some = files(out);
    assertThat(some).containsKeys("export.json", "digits-000001.tar").hasSizeLessThan(10);

    options.keepExisting = true;
    assertThat(export(options)).isTrue();

    Options whole = new Options();
    whole.out = root.resolve("whole");
    export(whole);
    assertSame(files(out), files(whole.out));
    some.forEach((name, bytes) -> assertThat(files(whole.out).get(name)).isEqualTo(bytes));
  }

  @Test
  void leftovers_ofTheSamePart_areRemoved() throws IOException {
    Files.createDirectories(out);
    String uuid = "-123e4567-e89b-12d3-a456-426614174000";
    for (String name : List.of("digits-000000.tar", "digits-000008.tar", "export.json", "mine")) {
      Files.writeString(out.resolve("." + name + uuid), "half");
    }
    Options options = new Options();
    options.parts = 2;
    export(options);
    assertThat(files(out).keySet().stream().filter(name -> name.startsWith(".")))
        .containsExactly(".digits-000008.tar" + uuid, ".mine" + uuid);
  }

  @Test
  void aPart_withOtherOptions_isRejected_withAllDifferences() throws IOException {
    export(new Options());
    Map<String, byte[]> before = files(out);
    Options options = new Options();
    options.seed = 8;
    options.shards = new Shards(6, 71, 9);
    options.version = 2;
    options.provider = Provider.CUDA;
    assertThatThrownBy(() -> export(options))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(out + "/export.json")
        .hasMessageContaining(
            "seed 18446744073709551609, not 8, first_index 5, not 6, count 70, not 71,"
                + " shard_images 8, not 9, model.version 1, not 2, provider cpu, not cuda,"
                + " max_batch 0, not 32");
    assertSame(files(out), before);
  }

  @Test
  void aPart_withAnotherModelOfThatName_isRejected() throws IOException {
    export(new Options());
    repository = new ModelRepository(root.resolve("others"));
    TestModels.publish(repository, "digits", 3, 2);
    assertThatThrownBy(() -> export(new Options()))
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll("export.json", "model.sha256 ");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"formatVersion\": 2} | format_version 2; expected 1",
        "{} | format_version 0; expected 1",
        "not JSON | is not the manifest of an export",
      })
  void anotherExportJson_isRejected(String content, String fact) throws IOException {
    Files.createDirectories(out);
    Files.writeString(out.resolve("export.json"), content);
    assertThatThrownBy(() -> export(new Options()))
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll(out + "/export.json", fact);
  }

  @Test
  void largeExportJson_isRejected_unread() throws IOException {
    Files.createDirectories(out);
    Files.writeString(out.resolve("export.json"), "{}" + " ".repeat(1 << 20));
    assertThatThrownBy(() -> export(new Options()))
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll(out + "/export.json", "more than 1048576 bytes");
  }

  @Test
  void shardsWithoutAnExportJson_areNotTouched() throws IOException {
    Files.createDirectories(out);
    Files.writeString(out.resolve("mnist-000000.tar"), "precious");
    assertThatThrownBy(() -> export(new Options()))
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll(out.toString(), "mnist-000000.tar", "no export.json", "--out");
    assertThat(files(out)).containsOnlyKeys("mnist-000000.tar");
  }

  @Test
  void version_isTheBegunOne_elseThePinned_elseTheNewestValid() throws IOException {
    export(new Options());
    Map<String, byte[]> first = files(out);
    TestModels.publish(repository, "digits", 3, 2);
    TestModels.publish(repository, "digits", 3, 3);
    Files.writeString(root.resolve("models/digits/3/model.onnx"), "damaged");

    export(new Options());
    assertSame(files(out), first);

    assertThat(versionOfNewExport("newest")).isEqualTo(2);
    repository.pin("digits", 1);
    assertThat(versionOfNewExport("pinned")).isEqualTo(1);
    repository.pin("digits", 3);
    assertThatThrownBy(() -> versionOfNewExport("damaged"))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("digits/3/model.onnx has 7 bytes; its manifest says ");
    repository.pin("digits", 9);
    assertThatThrownBy(() -> versionOfNewExport("absent"))
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll("version 9 of digits", "[3, 2, 1]");
    assertThat(root.resolve("absent/export.json")).doesNotExist();
  }

  @Test
  void aPart_thatChoseANewerVersion_followsTheOthers() throws IOException {
    AtomicInteger calls = new AtomicInteger();
    TestModels.publish(repository, "digits", 3, 2);
    Options late = new Options();
    late.parts = 2;
    late.part = 1;
    Options early = new Options();
    early.parts = 2;
    early.version = 1;
    // The late part asks first when it has loaded the newest version, 2.
    assertThat(
            export(
                late,
                () -> {
                  if (calls.getAndIncrement() == 0) {
                    run(early);
                  }
                  return false;
                }))
        .isTrue();
    Options whole = new Options();
    whole.out = root.resolve("whole");
    whole.version = 1;
    export(whole);
    assertSame(files(out), files(whole.out));
  }

  @Test
  void absentModel_isNamed() {
    Options options = new Options();
    options.model = "faces";
    assertThatThrownBy(() -> export(options))
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll("faces", root.resolve("models").toString());
  }

  @Test
  void aShardThatCannotBeWritten_isNamed_andEarlierOnesStay() throws IOException {
    Path inTheWay = out.resolve("digits-000002.tar");
    Files.createDirectories(inTheWay.resolve("inside"));
    Options begun = new Options();
    begun.out = root.resolve("begun");
    export(begun);
    Files.copy(begun.out.resolve("export.json"), out.resolve("export.json"));

    assertThatThrownBy(() -> export(new Options()))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith("cannot write " + inTheWay + ": ");

    assertThat(files(out))
        .containsOnlyKeys("export.json", "digits-000000.tar", "digits-000001.tar");
  }

  @Test
  void aPart_thatAnotherProcessBeginsMeanwhile_fails() throws IOException {
    AtomicBoolean begun = new AtomicBoolean();
    Options options = new Options();
    options.shards = new Shards(FIRST, 1000, 1000); // One shard, in far more chunks than are ahead.
    options.maxBatch = 1;
    assertThatThrownBy(
            () ->
                export(
                    options,
                    () -> {
                      if (isInProgress(0) && begun.compareAndSet(false, true)) {
                        run(options);
                      }
                      return false;
                    }))
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll("cannot write " + out.resolve("digits-000000.tar"), "same part");

    Options whole = new Options();
    whole.out = root.resolve("whole");
    whole.shards = options.shards;
    export(whole);
    assertSame(files(out), files(whole.out));
  }

  @Test
  void aNetworkThatFails_isReportedWithTheModel() throws IOException {
    ModelBundle bundle = repository.open("digits", 1);
    ShardWriter writer = new ShardWriter(config(new Options()), new ExportFolder(out), () -> false);
    Network broken = new BrokenNetwork(new OrtException("CUDA failure 2: out of memory"));
    VerifiedNetworks networks =
        new VerifiedNetworks(List.of(broken), LatencyProfile.of(new int[] {1}, new long[] {1}));

    assertThatThrownBy(() -> writer.write(bundle, networks))
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll("cannot run " + bundle.folder(), "CUDA failure 2: out of memory");

    assertThat(files(out)).isEmpty();
  }

  /** Fails as {@link OnnxModel#run} does. */
  private record BrokenNetwork(OrtException failure) implements Network {
    @Override
    public int latentSize() {
      return TestModels.LATENT;
    }

    @Override
    public int imageBytes(Output output) {
      return 1;
    }

    @Override
    public void run(List<BatchSlice> batch) {
      throw new IllegalStateException("ONNX Runtime failed", failure);
    }

    @Override
    public void close() {}
  }

  private boolean isInProgress(int shard) {
    return Stream.of(Objects.requireNonNull(out.toFile().list()))
        .anyMatch(name -> name.startsWith(".digits-%06d.tar-".formatted(shard)));
  }

  private long versionOfNewExport(String folder) throws IOException {
    Options options = new Options();
    options.out = root.resolve(folder);
    export(options);
    return new ExportFolder(options.out).agreed().orElseThrow().getModel().getVersion();
  }

  private final class Options {
    private String model = "digits";
    private long version;
    private long seed = SEED;
    private List<String> labels = List.of();
    private Shards shards = new Shards(FIRST, COUNT, SHARD);
    private int part;
    private int parts = 1;
    private Path out = ExporterTest.this.out;
    private boolean keepExisting;
    private Provider provider = Provider.CPU;
    private int sessions = 2;
    private int maxBatch = 32;
  }

  private void run(Options options) {
    try {
      export(options);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private boolean export(Options options) throws IOException {
    return export(options, () -> false);
  }

  private boolean export(Options options, BooleanSupplier stopped) throws IOException {
    return new Exporter(config(options), stopped).run();
  }

  /** As on a GPU, where all runs have --max-batch images, padded at the end of a shard. */
  private void exportInRunsOf(int batch, Options options) throws IOException {
    ModelBundle bundle = repository.open("digits", 1);
    try (VerifiedNetworks networks =
        VerifiedNetworks.openFixed(bundle, runtime(Provider.CPU), options.sessions, batch)) {
      assertThat(
              new ShardWriter(config(options), new ExportFolder(options.out), () -> false)
                  .write(bundle, networks))
          .isTrue();
    }
  }

  private ExportConfig config(Options options) {
    return new ExportConfig(
        repository,
        options.model,
        options.version,
        options.seed,
        options.labels,
        options.shards,
        options.part,
        options.parts,
        options.out,
        options.keepExisting,
        runtime(options.provider),
        options.sessions,
        options.maxBatch);
  }

  private static RuntimeSettings runtime(Provider provider) {
    return new RuntimeSettings(provider, 1, false, 0);
  }

  private static TarArchiveInputStream open(Path file) throws IOException {
    InputStream in = Files.newInputStream(file);
    return new TarArchiveInputStream(in);
  }

  /** All files, by name. */
  private static Map<String, byte[]> files(Path folder) {
    Map<String, byte[]> files = new TreeMap<>();
    try (Stream<Path> all = Files.list(folder)) {
      for (Path file : all.filter(Files::isRegularFile).toList()) {
        files.put(file.getFileName().toString(), Files.readAllBytes(file));
      }
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    return files;
  }

  /** What tells a file from another that has its name later. */
  private Map<String, Object> keys() throws IOException {
    Map<String, Object> keys = new TreeMap<>();
    for (String name : files(out).keySet()) {
      BasicFileAttributes found =
          Files.readAttributes(out.resolve(name), BasicFileAttributes.class);
      keys.put(name, List.of(found.fileKey(), found.lastModifiedTime()));
    }
    return keys;
  }

  private static void assertSame(Map<String, byte[]> found, Map<String, byte[]> expected) {
    assertThat(found.keySet()).isEqualTo(expected.keySet());
    expected.forEach(
        (name, bytes) -> assertThat(Arrays.equals(found.get(name), bytes)).as(name).isTrue());
  }
}
