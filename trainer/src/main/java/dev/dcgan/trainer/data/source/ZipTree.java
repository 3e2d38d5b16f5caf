package dev.dcgan.trainer.data.source;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.zip.CRC32;
import org.apache.commons.compress.archivers.zip.UnicodePathExtraField;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipFile;

/**
 * Reads zips entry by entry, with the checksum of each. Not the JDK's zip reader: it refuses a zip
 * with names that are not UTF-8, reads only one of two entries with one name, and does not check.
 */
final class ZipTree {

  // The charset of names that are not UTF-8, by the format's specification (APPNOTE.TXT, D.1).
  private static final Charset CP437 = Charset.forName("IBM437");

  private ZipTree() {}

  static FileTree open(Path file) throws IOException {
    return open(file, FileChannel.open(file));
  }

  /** As {@link #open(Path)}; the tree closes the channel. */
  static FileTree open(Path file, SeekableByteChannel channel) throws IOException {
    try {
      ZipFile zip =
          ZipFile.builder().setSeekableByteChannel(channel).setIgnoreLocalFileHeader(true).get();
      List<FileTree.Item> items = new ArrayList<>();
      IgnoredFiles ignored = new IgnoredFiles();
      for (ZipArchiveEntry entry : Collections.list(zip.getEntries())) {
        if (!entry.isDirectory()) {
          ArchiveItems.add(name(entry), limit -> read(zip, entry, limit), items, ignored);
        }
      }
      return new FileTree(file, items, zip, ignored);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw new IOException(
          "cannot read the zip %s: %s; copy it again, or unpack it and name the folder"
              .formatted(file, e.getMessage()),
          e);
    }
  }

  /** The entry's name; some programs write backslashes. */
  private static String name(ZipArchiveEntry entry) {
    if (entry.getGeneralPurposeBit().usesUTF8ForNames()) {
      return entry.getName().replace('\\', '/');
    }
    byte[] raw = entry.getRawName();
    if (entry.getExtraField(UnicodePathExtraField.UPATH_ID) instanceof UnicodePathExtraField path
        && path.getNameCRC32() == crc(raw)) {
      return new String(path.getUnicodeName(), StandardCharsets.UTF_8);
    }
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(raw))
          .toString()
          .replace('\\', '/');
    } catch (CharacterCodingException e) {
      // A backslash may be half a character here, as in Shift JIS.
      return new String(raw, CP437);
    }
  }

  private static byte[] read(ZipFile zip, ZipArchiveEntry entry, int limit) throws IOException {
    if (entry.getGeneralPurposeBit().usesEncryption()) {
      throw new IOException("it is encrypted: unpack the zip with its password");
    }
    byte[] bytes;
    try (InputStream in = open(zip, entry)) {
      bytes = in.readNBytes(limit);
    } catch (RuntimeException e) {
      throw new IOException("it is damaged (" + e + ")", e);
    }
    long crc = crc(bytes);
    if (bytes.length < limit && crc != entry.getCrc()) {
      throw new IOException(
          "it is damaged: its CRC is %08x; expected %08x".formatted(crc, entry.getCrc()));
    }
    return bytes;
  }

  private static long crc(byte[] bytes) {
    CRC32 crc = new CRC32();
    crc.update(bytes);
    return crc.getValue();
  }

  private static InputStream open(ZipFile zip, ZipArchiveEntry entry) throws IOException {
    // Finding the data moves the channel's position; reading does not.
    synchronized (zip) {
      return zip.getInputStream(entry);
    }
  }
}
