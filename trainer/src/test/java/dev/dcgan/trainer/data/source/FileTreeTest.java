package dev.dcgan.trainer.data.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipArchiveOutputStream;
import org.apache.commons.compress.archivers.zip.ZipArchiveOutputStream.UnicodeExtraFieldPolicy;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class FileTreeTest {

  @TempDir private Path folder;

  // Folders

  @Test
  void systemFiles_areIgnored_andNamedOnce() throws IOException {
    for (String name :
        List.of(
            "@eaDir/a.png/THUMB.jpg",
            "#recycle/b.png",
            "lost+found/c.png",
            ".git/x",
            "__MACOSX/y",
            "cat/.ipynb_checkpoints/z.png",
            "cat/Thumbs.db",
            "$RECYCLE.BIN/d.png",
            "cat/1.png")) {
      write(name);
    }

    try (FileTree tree = FileTree.ofFolder(folder)) {
      assertThat(tree.names()).containsExactly("cat/1.png");
      assertThat(tree.ignored().count()).isEqualTo(8);
      assertThat(tree.ignored().summary())
          .contains("#recycle/", "hidden .git/, cat/.ipynb_checkpoints/");
    }
  }

  @Test
  void loopsAndBrokenLinks_areIgnored_andNamed() throws IOException {
    write("a/1.png");
    Files.createSymbolicLink(folder.resolve("a/self"), Path.of(".."));
    Files.createSymbolicLink(folder.resolve("a/me"), Path.of("me"));
    Files.createSymbolicLink(folder.resolve("gone.png"), Path.of("absent.png"));
    Files.createSymbolicLink(folder.resolve("b"), Path.of("a"));

    try (FileTree tree = FileTree.ofFolder(folder)) {
      assertThat(tree.names()).containsExactly("a/1.png", "b/1.png");
      assertThat(tree.ignored().summary())
          .contains("broken symbolic link a/me, b/me, gone.png", "loop of symbolic links a/self/");
    }
  }

  @Test
  void anUnreadableFolder_isIgnored_andNamed() throws IOException {
    assumeFalse(System.getProperty("user.name").equals("root"), "root may read everything");
    write("1.png");
    write("locked/2.png");
    Files.setPosixFilePermissions(
        folder.resolve("locked"), PosixFilePermissions.fromString("---------"));

    try (FileTree tree = FileTree.ofFolder(folder)) {
      assertThat(tree.names()).containsExactly("1.png");
      assertThat(tree.ignored().summary()).isEqualTo("1 (no permission to read locked/)");
    }
  }

  @Test
  void namesThatAreNotUtf8_doNotCollide() throws Exception {
    // The JDK cannot write such names by itself.
    shell("printf one > $(printf 'caf\\351.png'); printf two > $(printf 'caf\\350.png')");

    try (FileTree tree = FileTree.ofFolder(folder)) {
      assertThat(tree.names()).containsExactly("caf\u00E8.png", "caf\u00E9.png");
      assertThat(text(tree, "caf\u00E8.png")).isEqualTo("two");
      assertThat(text(tree, "caf\u00E9.png")).isEqualTo("one");
    }
  }

  @Test
  void namesThatDecodeAlike_areBothKept() throws Exception {
    shell("printf one > $(printf '\\351.png'); printf two > $(printf '\\303\\251.png')");

    try (FileTree tree = FileTree.ofFolder(folder)) {
      assertThat(tree.names()).containsExactly("\u00E9 (2).png", "\u00E9.png");
      assertThat(tree.names().stream().map(name -> text(tree, name)))
          .containsExactlyInAnyOrder("one", "two");
    }
  }

  // Zips

  @Test
  void zipNames_inAnyEncoding_areKeptApart() throws IOException {
    Path zip = folder.resolve("a.zip");
    try (ZipArchiveOutputStream out = new ZipArchiveOutputStream(zip)) {
      out.setEncoding("ISO-8859-1");
      out.setUseLanguageEncodingFlag(false);
      add(out, "caf\u00E9.png", "one");
      add(out, "caf\u00E8.png", "two");
      add(out, "plain.png", "three");
      add(out, "plain.png", "four");
    }

    try (FileTree tree = FileTree.ofZip(zip)) {
      assertThat(tree.names()).hasSize(4).contains("plain.png", "plain (2).png");
      assertThat(tree.names().stream().map(name -> text(tree, name)))
          .containsExactlyInAnyOrder("one", "two", "three", "four");
    }
  }

  @Test
  void zipNames_inUtf8_withOrWithoutTheFlag_orAsExtraField() throws IOException {
    for (UnicodeExtraFieldPolicy policy :
        List.of(UnicodeExtraFieldPolicy.NEVER, UnicodeExtraFieldPolicy.ALWAYS)) {
      for (String encoding : List.of("UTF-8", "Shift_JIS")) {
        Path zip = folder.resolve("b.zip");
        try (ZipArchiveOutputStream out = new ZipArchiveOutputStream(zip)) {
          out.setEncoding(encoding);
          out.setUseLanguageEncodingFlag(false);
          out.setCreateUnicodeExtraFields(policy);
          add(out, "\u8868/\u9CE5.png", "one");
        }

        try (FileTree tree = FileTree.ofZip(zip)) {
          boolean known = encoding.equals("UTF-8") || policy.equals(UnicodeExtraFieldPolicy.ALWAYS);
          assertThat(tree.names()).hasSize(1);
          assertThat(tree.names().contains("\u8868/\u9CE5.png")).isEqualTo(known);
          assertThat(text(tree, tree.names().get(0))).isEqualTo("one");
        }
      }
    }
  }

  @Test
  void aZipEntryWithAnotherCrc_isUnreadable() throws IOException {
    Path zip = folder.resolve("c.zip");
    try (ZipArchiveOutputStream out = new ZipArchiveOutputStream(zip)) {
      add(out, "a.png", "content");
    }
    byte[] bytes = Files.readAllBytes(zip);
    bytes[new String(bytes, StandardCharsets.ISO_8859_1).indexOf("content")] = 'C';
    Files.write(zip, bytes);

    try (FileTree tree = FileTree.ofZip(zip)) {
      assertThatIOException()
          .isThrownBy(() -> tree.read("a.png"))
          .withMessageContainingAll("damaged", "CRC");
    }
  }

  @Test
  void anEncryptedZipEntry_isUnreadable_andSaysSo() throws IOException {
    Path zip = folder.resolve("d.zip");
    try (ZipArchiveOutputStream out = new ZipArchiveOutputStream(zip)) {
      add(out, "a.png", "content");
    }
    byte[] bytes = Files.readAllBytes(zip);
    bytes[new String(bytes, StandardCharsets.ISO_8859_1).indexOf("PK\1\2") + 8] |= 1;
    Files.write(zip, bytes);

    try (FileTree tree = FileTree.ofZip(zip)) {
      assertThatIOException()
          .isThrownBy(() -> tree.read("a.png"))
          .withMessageContainingAll("encrypted", "password");
    }
  }

  @Test
  void aZipBehindOtherData_isRead() throws IOException {
    ByteArrayOutputStream zip = new ByteArrayOutputStream();
    try (ZipArchiveOutputStream out = new ZipArchiveOutputStream(zip)) {
      add(out, "a.png", "content");
    }
    ByteArrayOutputStream both = new ByteArrayOutputStream();
    both.writeBytes("#!/bin/sh\n".getBytes(StandardCharsets.US_ASCII));
    both.writeBytes(zip.toByteArray());
    Path file = Files.write(folder.resolve("e.zip"), both.toByteArray());

    try (FileTree tree = FileTree.ofZip(file)) {
      assertThat(text(tree, "a.png")).isEqualTo("content");
    }
  }

  // Tars

  @Test
  void aTar_isReadInTheOrderOfItsNames_plainOrGzip() throws IOException {
    String longName = "l".repeat(150) + "/" + "n".repeat(120) + ".png";
    byte[] tar = tar(TarArchiveOutputStream.LONGFILE_GNU, longName);
    byte[] pax = tar(TarArchiveOutputStream.LONGFILE_POSIX, longName);
    Path scratch = Files.createDirectory(folder.resolve("scratch"));
    Path plain = Files.write(folder.resolve("a.tar"), tar);
    Path posix = Files.write(folder.resolve("b.tar"), pax);
    Path gzip = Files.write(folder.resolve("a.tgz"), gzip(tar));

    for (FileTree opened :
        List.of(
            FileTree.ofTar(plain), FileTree.ofTar(posix), FileTree.ofGzippedTar(gzip, scratch))) {
      try (FileTree tree = opened) {
        assertThat(tree.names())
            .containsExactly("a.png", "hard.png", longName, "\u9CE5.png")
            .isSorted();
        assertThat(text(tree, longName)).isEqualTo("two");
        assertThat(text(tree, "a.png")).isEqualTo("one");
        assertThat(text(tree, "hard.png")).isEqualTo("one");
        assertThat(tree.ignored().summary()).contains("link.png", "../", ".DS_Store");
      }
    }
    try (Stream<Path> left = Files.list(scratch)) {
      assertThat(left).isEmpty();
    }
  }

  @Test
  void aTruncatedTar_isRefused_andLeavesNothing() throws IOException {
    byte[] tar = tar(TarArchiveOutputStream.LONGFILE_GNU, "b.png");
    byte[] gzip = gzip(tar);
    Path cut = Files.write(folder.resolve("cut.tgz"), Arrays.copyOf(gzip, 100));
    Path scratch = Files.createDirectory(folder.resolve("scratch"));

    assertThatIOException()
        .isThrownBy(() -> FileTree.ofGzippedTar(cut, scratch))
        .withMessageContainingAll("tar " + cut + ": ", "copy it again");
    try (Stream<Path> left = Files.list(scratch)) {
      assertThat(left).isEmpty();
    }
  }

  @Test
  void aTar_withADamagedGzipHeader_isRefused() throws IOException {
    byte[] gzip = gzip(tar(TarArchiveOutputStream.LONGFILE_GNU, "b.png"));
    gzip[2] = 9; // no such method of compression
    Path damaged = Files.write(folder.resolve("damaged.tgz"), gzip);
    Path scratch = Files.createDirectory(folder.resolve("scratch"));

    assertThatIOException()
        .isThrownBy(() -> FileTree.ofGzippedTar(damaged, scratch))
        .withMessageContainingAll("tar " + damaged + ": ", "copy it again");
    try (Stream<Path> left = Files.list(scratch)) {
      assertThat(left).isEmpty();
    }
  }

  @Test
  void aGzippedTar_thatExpandsTooMuch_isRefused_andLeavesNothing() throws IOException {
    Path bomb = Files.write(folder.resolve("bomb.tgz"), gzip(new byte[8 << 20])); // 1000 times
    Path scratch = Files.createDirectory(folder.resolve("scratch"));
    long size = Files.size(bomb);

    for (TarTree.Limits limits :
        List.of(new TarTree.Limits(1L << 40, 1 << 20), new TarTree.Limits(4 << 20, 1L << 40))) {
      assertThatIOException()
          .isThrownBy(() -> TarTree.openGzip(bomb, scratch, limits))
          .withMessageContainingAll("cannot decompress " + bomb, "times the size of the file");
    }
    assertThat(100 * size).as("what is allowed").isBetween(512L << 10, 4L << 20);
    try (Stream<Path> left = Files.list(scratch)) {
      assertThat(left).isEmpty();
    }
  }

  @Test
  void aGzippedTar_withoutAScratchFolder_saysWhatToDo() throws IOException {
    Path gzip =
        Files.write(
            folder.resolve("a.tgz"), gzip(tar(TarArchiveOutputStream.LONGFILE_GNU, "b.png")));

    assertThatIOException()
        .isThrownBy(() -> FileTree.ofGzippedTar(gzip, folder.resolve("absent")))
        .withMessageContainingAll("cannot decompress " + gzip, "absent", "unpack it");
  }

  private static byte[] tar(int longFiles, String secondName) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (TarArchiveOutputStream out = new TarArchiveOutputStream(bytes, "UTF-8")) {
      out.setLongFileMode(longFiles);
      add(out, "./\u9CE5.png", "three");
      add(out, "a.png", "one");
      add(out, secondName, "two");
      add(out, ".DS_Store", "hidden");
      add(out, "../x.png", "outside");
      TarArchiveEntry symbolic = new TarArchiveEntry("link.png", TarConstants.LF_SYMLINK);
      symbolic.setLinkName("a.png");
      out.putArchiveEntry(symbolic);
      out.closeArchiveEntry();
      TarArchiveEntry hard = new TarArchiveEntry("hard.png", TarConstants.LF_LINK);
      hard.setLinkName("a.png");
      out.putArchiveEntry(hard);
      out.closeArchiveEntry();
    }
    return bytes.toByteArray();
  }

  private static void add(TarArchiveOutputStream out, String name, String content)
      throws IOException {
    byte[] bytes = content.getBytes(StandardCharsets.US_ASCII);
    TarArchiveEntry entry = new TarArchiveEntry(name);
    entry.setSize(bytes.length);
    out.putArchiveEntry(entry);
    out.write(bytes);
    out.closeArchiveEntry();
  }

  private static void add(ZipArchiveOutputStream out, String name, String content)
      throws IOException {
    byte[] bytes = content.getBytes(StandardCharsets.US_ASCII);
    CRC32 crc = new CRC32();
    crc.update(bytes);
    ZipArchiveEntry entry = new ZipArchiveEntry(name);
    entry.setMethod(ZipArchiveEntry.STORED);
    entry.setSize(bytes.length);
    entry.setCrc(crc.getValue());
    out.putArchiveEntry(entry);
    out.write(bytes);
    out.closeArchiveEntry();
  }

  private static byte[] gzip(byte[] bytes) throws IOException {
    ByteArrayOutputStream gzip = new ByteArrayOutputStream();
    try (OutputStream out = new GZIPOutputStream(gzip)) {
      out.write(bytes);
    }
    return gzip.toByteArray();
  }

  private void shell(String commands) throws Exception {
    Process shell =
        new ProcessBuilder("sh", "-c", commands).directory(folder.toFile()).inheritIO().start();
    assertThat(shell.waitFor()).isZero();
  }

  private void write(String name) throws IOException {
    Path file = folder.resolve(name);
    Files.createDirectories(file.resolveSibling(""));
    Files.writeString(file, name);
  }

  private static String text(FileTree tree, String name) {
    try {
      return new String(tree.read(name), StandardCharsets.US_ASCII);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
