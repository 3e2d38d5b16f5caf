package dev.dcgan.sampler.cli.client;

import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.Marshaller;
import io.grpc.Status;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import org.jspecify.annotations.Nullable;

/**
 * What a load needs to know of one message that came back.
 *
 * @param firstIndex of its images; {@link #UNSAID} where the message does not say
 * @param images that it brings
 * @param bytes of the message, decompressed
 * @param problem what is wrong with it; null where nothing is
 */
public record Reply(long firstIndex, long images, long bytes, @Nullable String problem) {

  public static final long UNSAID = -1;

  /** Makes an answer of a message. Thread-safe. */
  public interface Reader {

    /** Reads as much of the message as it needs. */
    Reply read(InputStream message) throws IOException;
  }

  /** The method, with answers as {@code reader} makes them of the messages. */
  public static <Q> MethodDescriptor<Q, Reply> of(MethodDescriptor<Q, ?> method, Reader reader) {
    return method.toBuilder(method.getRequestMarshaller(), new OnlyRead(reader)).build();
  }

  /** The method, with messages that are measured and not read: each counts as {@code images}. */
  public static <Q> MethodDescriptor<Q, Reply> unread(MethodDescriptor<Q, ?> method, long images) {
    return of(
        method,
        message ->
            new Reply(UNSAID, images, message.transferTo(OutputStream.nullOutputStream()), null));
  }

  private record OnlyRead(Reader reader) implements Marshaller<Reply> {

    @Override
    public InputStream stream(Reply answer) {
      throw new UnsupportedOperationException("answers are only read");
    }

    @Override
    public Reply parse(InputStream message) {
      try {
        return reader.read(message);
      } catch (IOException e) {
        throw Status.INTERNAL
            .withDescription("an answer cannot be read: " + e.getMessage())
            .withCause(e)
            .asRuntimeException();
      }
    }
  }
}
