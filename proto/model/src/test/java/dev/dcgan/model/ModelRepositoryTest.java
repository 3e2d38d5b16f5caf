package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelRepositoryTest {

  @TempDir Path root;
  private ModelRepository repository;

  @BeforeEach
  void newRepository() {
    repository = new ModelRepository(root.resolve("models"));
  }

  @Test
  void publish_thenOpen_givesTheSameModel() throws IOException {
    ModelBundle published = publish("digits");

    ModelBundle opened = repository.open("digits", 1);

    assertThat(opened.manifest()).isEqualTo(published.manifest());
    assertThat(opened.readModel()).isEqualTo(Models.ONNX);
    assertThat(opened.folder()).isEqualTo(repository.root().resolve("digits/1"));
    assertThat(opened.manifest())
        .isEqualTo(
            Models.draft("digits")
                .setFormatVersion(2)
                .setOnnxBytes(Models.ONNX.length)
                .setModel(
                    Models.draft("digits").getModel().toBuilder()
                        .setVersion(1)
                        .setSha256(new Sha256().add(Models.ONNX).hex()))
                .build());
  }

  @Test
  void aRepositoryThatDoesNotExistYetIsEmpty() throws IOException {
    assertThat(repository.models()).isEmpty();
    assertThat(repository.versions("digits")).isEmpty();
  }

  @Test
  void models_whenTheRootIsAFile_fails() throws IOException {
    Files.createFile(repository.root());

    assertThatThrownBy(repository::models).isInstanceOf(IOException.class);
  }

  @Test
  void models_areThoseWithAVersionByName() throws IOException {
    publish("faces");
    publish("digits");
    Files.createDirectories(repository.root().resolve("empty"));
    Files.createDirectories(repository.root().resolve("lost+found/1"));
    Files.createFile(repository.root().resolve("readme"));

    assertThat(repository.models()).containsExactly("digits", "faces");
  }

  @Test
  void versions_areCountedUpForEachModelAndListedNewestFirst() throws IOException {
    for (int i = 0; i < 11; i++) {
      publish("digits");
    }

    assertThat(publish("faces").version()).isEqualTo(1);
    assertThat(repository.versions("digits"))
        .containsExactly(11L, 10L, 9L, 8L, 7L, 6L, 5L, 4L, 3L, 2L, 1L);
  }

  @Test
  void versions_ignoresWhatIsNoVersion() throws IOException {
    publish("digits");
    Path folder = repository.root().resolve("digits");
    Files.createDirectory(folder.resolve("0"));
    Files.createDirectory(folder.resolve("02"));
    Files.createDirectory(folder.resolve("3-old"));
    Files.createDirectory(folder.resolve(".publishing"));
    Files.createFile(folder.resolve("4"));

    assertThat(repository.versions("digits")).containsExactly(1L);
  }

  @Test
  void pin_isReadByOthers_untilUnpinned() throws IOException {
    publish("digits");
    assertThat(repository.pinned("digits")).isEmpty();

    repository.pin("digits", 1);
    repository.pin("digits", 12);
    assertThat(new ModelRepository(repository.root()).pinned("digits")).hasValue(12);
    assertThat(repository.versions("digits")).containsExactly(1L);

    repository.unpin("digits");
    repository.unpin("digits");
    assertThat(repository.pinned("digits")).isEmpty();
    assertThat(repository.pinFile("digits")).doesNotExist();
  }

  @Test
  void pinned_whenTheFileIsDamaged_saysWhatToDo() throws IOException {
    publish("digits");
    for (byte[] damaged : List.of(new byte[0], new byte[] {(byte) 0xFF, 0, 1}, new byte[100_000])) {
      Files.write(repository.pinFile("digits"), damaged);
      assertThatThrownBy(() -> repository.pinned("digits"))
          .isInstanceOf(InvalidModelException.class)
          .hasMessageContainingAll(".serving-version", "delete the file");
    }
  }

  @Test
  void pin_ofNoVersion_isAFaultOfTheCaller() {
    assertThatThrownBy(() -> repository.pin("digits", 0))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> repository.pin("digits", -1))
        .hasMessageContaining("18446744073709551615");
  }

  @Test
  void openUnverified_takesShapeFromTheModel_andDigestFromTheBytes() throws IOException {
    Path folder = Files.createDirectories(repository.root().resolve("cats/3"));
    assertThat(repository.isBare("cats", 3)).isFalse();
    Files.write(folder.resolve("model.onnx"), Models.ONNX);
    assertThat(repository.isBare("cats", 3)).isTrue();

    ModelManifest described = Models.draft("any").clearModel().clearGolden().build();
    ModelBundle bundle = repository.openUnverified("cats", 3, onnx -> described);
    assertThat(bundle.unverified()).isTrue();
    assertThat(bundle).hasToString("cats/3");
    assertThat(bundle.manifest().getModel().getSha256())
        .isEqualTo(new Sha256().add(Models.ONNX).hex());
    assertThat(bundle.readModel()).isEqualTo(Models.ONNX);
    assertThatThrownBy(
            () -> repository.openUnverified("cats", 3, onnx -> ModelManifest.getDefaultInstance()))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("image of 0 x 0 pixels");
  }

  @ParameterizedTest
  @CsvSource({
    "'', is empty, copy the file again",
    "'version https://git-lfs.github.com/spec/v1\noid sha256:0', Git LFS pointer, git lfs pull",
    "'\n<!DOCTYPE html><html>', HTML page, download",
    "PK\u0003\u0004abc, zip archive, torch.onnx.export",
    "\u0080\u0002}q, pickle, torch.onnx.export",
    "'{\"error\": \"not found\"}', text file, download",
    "'version https://hawser.github.com/spec/v1\noid sha256:0', Git LFS pointer, git lfs pull",
    "'outs:\n- md5: a304afb96060aad9\n  path: model.onnx\n', text file, download",
    "'Not Found\n', text file, download",
    "(\u00b5/\u00fdabc, compressed, unpack",
    "BZh91AY, compressed, unpack",
    "'@\0\0\0\0\0\0\0{\"w\":', safetensors, torch.onnx.export",
    "'\u001c\0\0\0TFL3\u0001', TensorFlow Lite, tf2onnx",
  })
  void openUnverified_namesFilesOfAnotherKind(String head, String found, String remedy)
      throws IOException {
    Path folder = Files.createDirectories(repository.root().resolve("cats/1"));
    Files.write(folder.resolve("model.onnx"), head.getBytes(StandardCharsets.ISO_8859_1));
    assertThatThrownBy(
            () -> repository.openUnverified("cats", 1, onnx -> Models.draft("m").build()))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContainingAll(found, remedy);
  }

  @Test
  void open_namesAGitLfsPointerBesideAManifest() throws IOException {
    Path folder = publish("digits").folder();
    Files.writeString(folder.resolve("model.onnx"), "version https://git-lfs.github.com/spec/v1");
    assertThatThrownBy(() -> repository.open("digits", 1))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("git lfs pull");
  }

  @Test
  void publish_afterTheNewestWasDeleted_doesNotReuseItsNumber() throws IOException {
    publish("digits");
    delete(publish("digits").folder());

    assertThat(publish("digits").version()).isEqualTo(3);
    assertThat(repository.versions("digits")).containsExactly(3L, 1L);
  }

  @Test
  void publish_beyondVersionsPutThereByHand_countsOn() throws IOException {
    Files.createDirectories(repository.root().resolve("digits/41"));

    assertThat(publish("digits").version()).isEqualTo(42);
  }

  @Test
  void publish_byManyAtOnce_givesEachAVersionOfItsOwn() throws Exception {
    long publishers = 8;
    int each = 5;
    ExecutorService threads = Executors.newCachedThreadPool();
    try {
      CountDownLatch start = new CountDownLatch(1);
      List<Future<List<ModelBundle>>> published = new ArrayList<>();
      for (int i = 0; i < publishers; i++) {
        byte[] onnx = ("from publisher " + i).getBytes(StandardCharsets.UTF_8);
        published.add(threads.submit(() -> publishAfter(start, each, onnx)));
      }
      start.countDown();

      List<Long> versions = new ArrayList<>();
      for (Future<List<ModelBundle>> bundles : published) {
        for (ModelBundle bundle : bundles.get()) {
          versions.add(bundle.version());
          assertThat(repository.open("digits", bundle.version()).readModel())
              .isEqualTo(bundle.readModel());
        }
      }
      assertThat(versions)
          .containsExactlyInAnyOrderElementsOf(
              LongStream.rangeClosed(1, publishers * each).boxed().toList());
    } finally {
      threads.shutdownNow();
    }
  }

  private List<ModelBundle> publishAfter(CountDownLatch start, int times, byte[] onnx)
      throws Exception {
    // Each has a repository of its own, as another process would.
    ModelRepository own = new ModelRepository(repository.root());
    start.await();
    List<ModelBundle> bundles = new ArrayList<>();
    for (int i = 0; i < times; i++) {
      bundles.add(own.publish(Models.draft("digits").build(), onnx));
    }
    return bundles;
  }

  @Test
  void publish_byTwoProcessesAtOnce_givesEachAVersionOfItsOwn() throws Exception {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    List<String> command =
        List.of(
            java,
            "-cp",
            System.getProperty("java.class.path"),
            PublishFive.class.getName(),
            repository.root().toString());

    Process one = new ProcessBuilder(command).inheritIO().start();
    Process two = new ProcessBuilder(command).inheritIO().start();

    assertThat(one.waitFor()).isZero();
    assertThat(two.waitFor()).isZero();
    assertThat(repository.versions("digits")).hasSize(10).first().isEqualTo(10L);
    for (long version : repository.versions("digits")) {
      assertThat(repository.open("digits", version).version()).isEqualTo(version);
    }
  }

  static final class PublishFive {

    private PublishFive() {}

    public static void main(String[] args) throws IOException {
      for (int i = 0; i < 5; i++) {
        new ModelRepository(Path.of(args[0])).publish(Models.draft("digits").build(), Models.ONNX);
      }
    }
  }

  @Test
  void publish_whileOthersRead_showsThemWholeVersionsOnly() throws Exception {
    ExecutorService reader = Executors.newSingleThreadExecutor();
    try {
      CountDownLatch done = new CountDownLatch(1);
      Future<Integer> opened =
          reader.submit(
              () -> {
                int count = 0;
                boolean last;
                do {
                  last = done.getCount() == 0;
                  for (long version : repository.versions("digits")) {
                    repository.open("digits", version).readModel();
                    count++;
                  }
                } while (!last);
                return count;
              });
      for (int i = 0; i < 10; i++) {
        publish("digits");
      }
      done.countDown();

      assertThat(opened.get()).isGreaterThanOrEqualTo(10);
    } finally {
      reader.shutdownNow();
    }
  }

  @Test
  void publish_ofADraftThatNoReaderWouldOpen_publishesNothing() throws IOException {
    publish("digits");
    ModelManifest bad = Models.draft("digits").setLatentScheme("mersenne/1").build();

    assertThatThrownBy(() -> repository.publish(bad, Models.ONNX))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("mersenne/1");

    assertThat(repository.versions("digits")).containsExactly(1L);
    assertThat(repository.open("digits", 1).readModel()).isEqualTo(Models.ONNX);
    assertThat(names("digits")).containsExactlyInAnyOrder("1", ".last-version", ".lock");
    assertThat(publish("digits").version()).isEqualTo(2);
  }

  @Test
  void publish_whenItsHiddenFolderCannotBeMade_leavesOldVersions() throws IOException {
    publish("digits");
    Files.createFile(repository.root().resolve("digits/.publishing"));

    assertThatThrownBy(() -> publish("digits")).isInstanceOf(IOException.class);

    assertThat(repository.versions("digits")).containsExactly(1L);
    assertThat(repository.open("digits", 1).readModel()).isEqualTo(Models.ONNX);
  }

  @Test
  void publish_whenTheNumberCannotBeRemembered_publishesNothing() throws IOException {
    publish("digits");
    Path last = repository.root().resolve("digits/.last-version");
    Files.writeString(last, "two\n");

    assertThatThrownBy(() -> publish("digits"))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(".last-version holds 'two'; expected ");

    assertThat(repository.versions("digits")).containsExactly(1L);
    assertThat(names("digits")).containsExactlyInAnyOrder("1", ".last-version", ".lock");
  }

  @Test
  void publish_afterAPublisherDied_clearsAwayWhatItLeft() throws IOException {
    Path left = Files.createDirectories(repository.root().resolve("digits/.publishing"));
    Files.writeString(left.resolve("model.onnx"), "half a mod");
    String temporary = "digits/..last-version-%s".formatted(UUID.randomUUID());
    Files.writeString(repository.root().resolve(temporary), "1");

    assertThat(repository.models()).isEmpty();
    assertThat(publish("digits").readModel()).isEqualTo(Models.ONNX);

    assertThat(names("digits")).containsExactlyInAnyOrder("1", ".last-version", ".lock");
  }

  @Test
  void pin_deletesWhatAKilledPinLeft_notWhatAnotherPinWrites() throws IOException {
    publish("digits");
    Path folder = repository.root().resolve("digits");
    Path left = folder.resolve("..serving-version-" + UUID.randomUUID());
    Path concurrent = folder.resolve("..serving-version-" + UUID.randomUUID());
    Files.writeString(left, "1");
    Files.writeString(concurrent, "1");
    Files.setLastModifiedTime(left, FileTime.from(Instant.now().minus(Duration.ofHours(2))));

    repository.pin("digits", 1);

    assertThat(left).doesNotExist();
    assertThat(concurrent).exists();
    assertThat(repository.pinned("digits")).hasValue(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ".", "..", "../up", "/etc", "a/b", "A", ".hidden", "a\u0000", "a\n"})
  void namesThatCouldLeaveTheRepositoryAreRefused(String name) {
    assertThat(ModelRepository.isName(name)).isFalse();
    assertThatThrownBy(() -> publish(name))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("not a valid model name");
    assertThatThrownBy(() -> repository.versions(name)).isInstanceOf(InvalidModelException.class);
    assertThatThrownBy(() -> repository.open(name, 1)).isInstanceOf(InvalidModelException.class);
    assertThat(repository.root()).doesNotExist();
  }

  @Test
  void isName_allows63Characters() {
    assertThat(ModelRepository.isName("a".repeat(63))).isTrue();
    assertThat(ModelRepository.isName("a".repeat(64))).isFalse();
    assertThat(ModelRepository.isName("mnist-28_v1.2")).isTrue();
  }

  private ModelBundle publish(String name) throws IOException {
    return repository.publish(Models.draft(name).build(), Models.ONNX);
  }

  private List<String> names(String model) throws IOException {
    try (Stream<Path> entries = Files.list(repository.root().resolve(model))) {
      return entries.map(path -> path.getFileName().toString()).toList();
    }
  }

  private static void delete(Path folder) throws IOException {
    Files.delete(folder.resolve("model.onnx"));
    Files.delete(folder.resolve("manifest.json"));
    Files.delete(folder);
  }
}
