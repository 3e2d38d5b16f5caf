package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DurableFilesTest {

  @TempDir Path folder;

  @Test
  void replace_writesAllPartsInOrder() throws IOException {
    Path file = folder.resolve("file");

    DurableFiles.replace(file, bytes("one "), bytes(""), bytes("two"));
    assertThat(file).hasContent("one two");
    DurableFiles.replace(file, bytes("3"));

    assertThat(file).hasContent("3");
    assertThat(folder.toFile().list()).containsExactly("file");
  }

  @Test
  void replace_whenTheNewFileCannotBeMade_leavesTheOld() throws IOException {
    // As long as a name may be: the temporary one beside it is longer.
    Path file = folder.resolve("f".repeat(255));
    Files.writeString(file, "old");

    assertThatThrownBy(() -> DurableFiles.replace(file, bytes("new")))
        .isInstanceOf(FileSystemException.class);

    assertThat(file).hasContent("old");
    assertThat(folder.toFile().list()).containsExactly(file.getFileName().toString());
  }

  @Test
  void replace_whenTheRenameFails_leavesTheOldAndNoTemporaryFile() throws IOException {
    Path file = Files.createDirectory(folder.resolve("file"));
    Path inside = Files.writeString(file.resolve("inside"), "old");

    assertThatThrownBy(() -> DurableFiles.replace(file, bytes("new")))
        .isInstanceOf(FileSystemException.class);

    assertThat(inside).hasContent("old");
    assertThat(folder.toFile().list()).containsExactly("file");
  }

  private static ByteBuffer bytes(String text) {
    return StandardCharsets.UTF_8.encode(text);
  }
}
