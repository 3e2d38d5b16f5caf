package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DurableFilesTest {

  @TempDir Path folder;

  @Test
  void replace_writesAllPartsInOrder() throws IOException {
    Path file = folder.resolve("file");

    AtomicFiles.replace(file, bytes("one "), bytes(""), bytes("two"));
    assertThat(file).hasContent("one two");
    AtomicFiles.replace(file, bytes("3"));

    assertThat(file).hasContent("3");
    assertThat(folder.toFile().list()).containsExactly("file");
  }

  @Test
  void replace_whenTheNewFileCannotBeMade_leavesTheOld() throws IOException {
    // A name of maximum length, so that the temporary name is too long.
    Path file = folder.resolve("f".repeat(255));
    Files.writeString(file, "old");

    assertThatThrownBy(() -> AtomicFiles.replace(file, bytes("new")))
        .isInstanceOf(FileSystemException.class);

    assertThat(file).hasContent("old");
    assertThat(folder.toFile().list()).containsExactly(file.getFileName().toString());
  }

  @Test
  void replace_whenTheRenameFails_leavesTheOldFileAlone() throws IOException {
    Path file = Files.createDirectory(folder.resolve("file"));
    Path inside = Files.writeString(file.resolve("inside"), "old");

    assertThatThrownBy(() -> AtomicFiles.replace(file, bytes("new")))
        .isInstanceOf(FileSystemException.class);

    assertThat(inside).hasContent("old");
    assertThat(folder.toFile().list()).containsExactly("file");
  }

  @Test
  void replace_whenTheContentFails_leavesTheOldFileAlone() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "old");

    assertThatThrownBy(
            () ->
                AtomicFiles.replace(
                    file,
                    channel -> {
                      channel.write(bytes("half"));
                      assertThat(unfinishedFiles()).containsExactly("file");
                      throw new IllegalStateException("stopped");
                    }))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("stopped");

    assertThat(file).hasContent("old");
    assertThat(folder.toFile().list()).containsExactly("file");
  }

  @Test
  void create_makesTheFile_unlessThereIsOne() throws IOException {
    Path file = folder.resolve("file");

    assertThat(AtomicFiles.create(file, bytes("one "), bytes("two"))).isTrue();
    assertThat(AtomicFiles.create(file, bytes("3"))).isFalse();

    assertThat(file).hasContent("one two");
    assertThat(folder.toFile().list()).containsExactly("file");
  }

  @Test
  void create_byManyAtOnce_isDoneByOne_wholeFromTheStart() throws Exception {
    Path file = folder.resolve("file");
    ExecutorService threads = Executors.newFixedThreadPool(8);
    try {
      List<Callable<String>> attempts =
          IntStream.range(0, 8)
              .<Callable<String>>mapToObj(
                  i ->
                      () -> {
                        String mine = "mine " + i;
                        boolean made = AtomicFiles.create(file, bytes(mine));
                        String found = Files.readString(file);
                        assertThat(made).isEqualTo(found.equals(mine));
                        return found;
                      })
              .toList();
      Set<String> found = new HashSet<>();
      for (Future<String> attempt : threads.invokeAll(attempts)) {
        found.add(attempt.get());
      }
      assertThat(found).hasSize(1);
      assertThat(folder.toFile().list()).containsExactly("file");
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void create_whereThereAreNoHardLinks_saysSo_andLeavesNothing() {
    Path file = folder.resolve("file");

    assertThatThrownBy(
            () ->
                AtomicFiles.create(
                    file,
                    (name, fresh) -> {
                      assertThat(fresh).hasContent("one");
                      throw new FileSystemException(
                          name.toString(), fresh.toString(), "Operation not permitted");
                    },
                    bytes("one")))
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll("hard link", folder.toString(), "Operation not permitted");

    assertThat(folder.toFile().list()).isEmpty();
  }

  @Test
  void create_whenTheFileCannotBeWritten_doesNotBlameLinks() {
    // A name of maximum length, so that the temporary name is too long.
    assertThatThrownBy(() -> AtomicFiles.create(folder.resolve("f".repeat(255)), bytes("new")))
        .isInstanceOf(FileSystemException.class)
        .hasMessageNotContaining("hard link");
  }

  @Test
  void createFolder_makesAllThatIsMissing_andLeavesWhatIsThere() throws IOException {
    Path deep = folder.resolve("a/b/c");

    assertThat(AtomicFiles.createFolder(deep)).isEqualTo(deep).isDirectory();
    Path file = Files.writeString(deep.resolve("file"), "old");
    assertThat(AtomicFiles.createFolder(deep)).isEqualTo(deep);

    assertThat(file).hasContent("old");
  }

  @Test
  void createFolder_whereAFileIsInTheWay_fails() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "old");

    assertThatThrownBy(() -> AtomicFiles.createFolder(file))
        .isInstanceOf(FileAlreadyExistsException.class);
    assertThatThrownBy(() -> AtomicFiles.createFolder(file.resolve("inside")))
        .isInstanceOf(FileSystemException.class);

    assertThat(file).hasContent("old");
  }

  @Test
  void unfinished_isNoOtherFile() {
    for (String name :
        List.of("file", ".hidden", "a-123e4567-e89b-12d3-a456-426614174000", ".a-123e4567")) {
      assertThat(AtomicFiles.unfinished(folder.resolve(name))).as(name).isEmpty();
    }
  }

  private List<String> unfinishedFiles() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(AtomicFiles::unfinished).flatMap(Optional::stream).toList();
    }
  }

  private static ByteBuffer bytes(String text) {
    return StandardCharsets.UTF_8.encode(text);
  }
}
