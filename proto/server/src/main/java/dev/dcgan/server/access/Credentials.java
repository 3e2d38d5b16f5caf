package dev.dcgan.server.access;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import javax.security.auth.x500.X500Principal;
import org.jspecify.annotations.Nullable;

/**
 * The callers of a tokens file. Each line has a name, roles and a credential:
 *
 * <pre>
 *   # comment
 *   alice       generate,read   sha256:9f86d081884c7d659a2feaa0c55ad015...
 *   prometheus  read            subject:CN=prometheus,O=Example
 * </pre>
 *
 * <p>A name may have several lines, for example while a token is replaced. Tokens are random, so a
 * plain SHA-256 is enough. Immutable.
 */
public final class Credentials {

  private static final int MAX_BYTES = 1 << 20;
  private static final int MAX_ENTRIES = 1000;
  private static final String HASH = "sha256:";
  private static final String SUBJECT = "subject:";
  private static final String NAME = "[A-Za-z0-9._@-]{1,64}";

  @SuppressWarnings("ArrayRecordComponent") // Never compared.
  private record Entry(Caller caller, byte @Nullable [] hash, @Nullable X500Principal subject) {}

  private final List<Entry> entries;

  private Credentials(List<Entry> entries) {
    this.entries = List.copyOf(entries);
  }

  /**
   * Reads a file.
   *
   * @throws IOException it cannot be read, or a line is invalid; the message names the line
   */
  public static Credentials read(Path file) throws IOException {
    if (!Files.isReadable(file)) {
      throw new IOException(
          file + ": cannot read the file; expected lines of NAME ROLES CREDENTIAL");
    }
    if (Files.size(file) > MAX_BYTES) {
      throw new IOException(file + ": too large; expected at most 1 MiB");
    }
    return parse(file, Files.readAllBytes(file));
  }

  /** As {@link #read}, of the content of a file. */
  static Credentials parse(Path file, byte[] content) throws IOException {
    List<Entry> entries = new ArrayList<>();
    int number = 0;
    for (String line : new String(content, StandardCharsets.UTF_8).lines().toList()) {
      number++;
      String text = line.strip();
      if (!text.isEmpty() && !text.startsWith("#")) {
        entries.add(entry(file + " line " + number, text));
      }
    }
    if (entries.isEmpty() || entries.size() > MAX_ENTRIES) {
      throw new IOException(
          "%s: %d entries; expected 1 to %d lines of NAME ROLES CREDENTIAL"
              .formatted(file, entries.size(), MAX_ENTRIES));
    }
    return new Credentials(entries);
  }

  private static Entry entry(String where, String line) throws IOException {
    String[] fields = line.split("\\s+", 3);
    if (fields.length < 3 || !fields[0].matches(NAME)) {
      throw new IOException(
          where + ": expected NAME ROLES CREDENTIAL, such as alice generate,read sha256:...");
    }
    Set<Role> roles = EnumSet.noneOf(Role.class);
    for (String label : fields[1].split(",", -1)) {
      roles.add(
          Role.of(label)
              .orElseThrow(
                  () ->
                      new IOException(
                          "%s: role '%s'; expected generate, read, train, publish or admin"
                              .formatted(where, label))));
    }
    Caller caller = new Caller(fields[0], roles, true);
    String credential = fields[2];
    try {
      if (credential.startsWith(HASH) && credential.length() == HASH.length() + 64) {
        byte[] hash = HexFormat.of().parseHex(credential.substring(HASH.length()));
        return new Entry(caller, hash, null);
      }
      if (credential.startsWith(SUBJECT)) {
        X500Principal subject = new X500Principal(credential.substring(SUBJECT.length()));
        return new Entry(caller, null, subject);
      }
    } catch (IllegalArgumentException e) {
      // Reported below. The cause may quote the line.
    }
    throw new IOException(
        where
            + ": expected sha256: and the 64 hex digits of a token's SHA-256, or subject: and the"
            + " subject of a client certificate");
  }

  /** The caller that has this token. All entries are compared, each in constant time. */
  public Optional<Caller> byToken(String token) {
    byte[] hash = sha256(token);
    Caller found = null;
    for (Entry entry : entries) {
      if (entry.hash != null && MessageDigest.isEqual(entry.hash, hash)) {
        found = entry.caller;
      }
    }
    return Optional.ofNullable(found);
  }

  /** The caller whose verified certificate has this subject. */
  public Optional<Caller> bySubject(X500Principal subject) {
    return entries.stream()
        .filter(entry -> subject.equals(entry.subject))
        .map(Entry::caller)
        .findFirst();
  }

  private static byte[] sha256(String token) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // Every Java has it.
    }
  }
}
