package dev.dcgan.trainer.data.source;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarFile;

/**
 * Reads tar files, which are indexed once. One that is compressed with gzip is first decompressed
 * into a scratch file, which disappears with the tree: images are read in the order of their names.
 */
final class TarTree {

  private static final int BLOCK_BYTES = 512;
  private static final int BUFFER_BYTES = 1 << 20;
  private static final long MIN_FREE_BYTES = 256L << 20; // left on the disk by decompressing
  private static final int FREE_CHECK_INTERVAL = 16; // buffers
  // Images hardly shrink, and the padding between small ones makes it 5 or 10 times.
  private static final int MAX_RATIO = 100;

  /**
   * How much a file may expand.
   *
   * @param bytes at most
   * @param anyRatioBytes up to which the ratio does not count
   */
  record Limits(long bytes, long anyRatioBytes) {

    static final Limits DEFAULT = new Limits(64L << 30, 1L << 30);
  }

  private TarTree() {}

  static FileTree open(Path file) throws IOException {
    return open(file, FileChannel.open(file));
  }

  /**
   * Opens a tar that is compressed with gzip.
   *
   * @param scratchFolder where it is decompressed
   */
  static FileTree openGzip(Path file, Path scratchFolder) throws IOException {
    return openGzip(file, scratchFolder, Limits.DEFAULT);
  }

  /** As {@link #openGzip(Path, Path)}, with other limits. */
  static FileTree openGzip(Path file, Path scratchFolder, Limits limits) throws IOException {
    FileChannel scratch;
    try {
      scratch =
          FileChannel.open(
              scratchFolder.resolve("dcgan-archive-" + UUID.randomUUID()),
              StandardOpenOption.CREATE_NEW,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE,
              StandardOpenOption.DELETE_ON_CLOSE);
    } catch (IOException e) {
      throw cannotDecompress(file, scratchFolder, e);
    }
    try {
      decompress(file, scratchFolder, scratch, limits);
      scratch.position(0);
    } catch (IOException e) {
      scratch.close();
      throw e;
    }
    return open(file, scratch);
  }

  private static void decompress(Path file, Path scratchFolder, FileChannel scratch, Limits limits)
      throws IOException {
    long maxBytes =
        Math.min(limits.bytes, Math.max(limits.anyRatioBytes, MAX_RATIO * Files.size(file)));
    OutputStream out = Channels.newOutputStream(scratch);
    byte[] buffer = new byte[BUFFER_BYTES];
    try (InputStream compressed = Files.newInputStream(file);
        InputStream in = gunzip(compressed, file)) {
      for (int i = 0; ; i++) {
        int n = read(in, buffer, file);
        if (n == 0) {
          return;
        }
        if (i % FREE_CHECK_INTERVAL == 0
            && Files.getFileStore(scratchFolder).getUsableSpace() < MIN_FREE_BYTES) {
          throw cannotDecompress(
              file,
              scratchFolder,
              new IOException("it has less than %d MiB left".formatted(MIN_FREE_BYTES >> 20)));
        }
        write(out, buffer, n, file, scratchFolder);
        if (scratch.position() > maxBytes) {
          throw new IOException(
              "cannot decompress %s: it has more than %d MiB; expected at most %d GiB, and at most %d times the size of the file: unpack it and name the folder"
                  .formatted(file, maxBytes >> 20, limits.bytes >> 30, MAX_RATIO));
        }
      }
    }
  }

  /** Reads the header. */
  private static InputStream gunzip(InputStream compressed, Path file) throws IOException {
    try {
      return new GZIPInputStream(compressed, BUFFER_BYTES);
    } catch (IOException e) {
      throw damaged(file, e);
    }
  }

  private static int read(InputStream in, byte[] buffer, Path file) throws IOException {
    try {
      return in.readNBytes(buffer, 0, buffer.length);
    } catch (IOException e) {
      throw damaged(file, e);
    }
  }

  private static void write(OutputStream out, byte[] buffer, int n, Path file, Path scratchFolder)
      throws IOException {
    try {
      out.write(buffer, 0, n);
    } catch (IOException e) {
      throw cannotDecompress(file, scratchFolder, e);
    }
  }

  private static IOException cannotDecompress(Path file, Path folder, IOException cause) {
    return new IOException(
        "cannot decompress %s into %s: %s; free space there, or unpack it and name the folder"
            .formatted(file, folder, cause.getMessage()),
        cause);
  }

  private static IOException damaged(Path file, Exception cause) {
    return new IOException(
        "cannot read the tar %s: %s; copy it again, or unpack it and name the folder"
            .formatted(file, cause.getMessage()),
        cause);
  }

  /** As {@link #open(Path)}; the tree closes the channel. */
  static FileTree open(Path file, SeekableByteChannel channel) throws IOException {
    try {
      // Latin-1 keeps the bytes of the names, which are mostly UTF-8.
      TarFile tar =
          new TarFile(channel, BLOCK_BYTES, BLOCK_BYTES, StandardCharsets.ISO_8859_1.name(), false);
      List<FileTree.Item> items = new ArrayList<>();
      IgnoredFiles ignored = new IgnoredFiles();
      Map<String, TarArchiveEntry> files = new HashMap<>(); // by their names in the archive
      for (TarArchiveEntry entry : tar.getEntries()) {
        String name = name(entry.getName());
        // A second name of a file before it.
        TarArchiveEntry content = entry.isLink() ? files.get(entry.getLinkName()) : entry;
        if (content == null || !(isRegular(content) || entry.isDirectory())) {
          ignored.add("not a regular file of the archive", FileNames.normalize(name));
        } else if (!entry.isDirectory()) {
          files.put(entry.getName(), content);
          ArchiveItems.add(name, limit -> read(tar, content, limit), items, ignored);
        }
      }
      return new FileTree(file, items, closing(tar, channel), ignored);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw damaged(file, e);
    }
  }

  private static boolean isRegular(TarArchiveEntry entry) {
    return entry.isFile()
        && !entry.isSymbolicLink()
        && !entry.isFIFO()
        && !entry.isBlockDevice()
        && !entry.isCharacterDevice();
  }

  private static Closeable closing(TarFile tar, SeekableByteChannel channel) {
    return () -> {
      try (channel) {
        tar.close();
      }
    };
  }

  private static String name(String latin1) {
    boolean bytes = latin1.chars().allMatch(c -> c <= 0xFF); // a PAX header's name is decoded
    return bytes ? FileNames.decode(latin1.getBytes(StandardCharsets.ISO_8859_1)) : latin1;
  }

  private static byte[] read(TarFile tar, TarArchiveEntry entry, int limit) throws IOException {
    // The entries' streams share the channel's position.
    synchronized (tar) {
      try (InputStream in = tar.getInputStream(entry)) {
        byte[] bytes = in.readNBytes(limit);
        if (bytes.length < Math.min(limit, entry.getRealSize())) {
          throw new IOException("the archive is truncated");
        }
        return bytes;
      } catch (RuntimeException e) {
        throw new IOException("it is damaged (" + e + ")", e);
      }
    }
  }
}
