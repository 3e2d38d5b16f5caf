package dev.dcgan.sampler.cli.client;

import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.Marshaller;
import io.grpc.Status;
import java.io.IOException;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;

/**
 * What a load test needs to know of one response message.
 *
 * @param firstIndex index of its first image; {@link #UNKNOWN}: the message has none
 * @param images in the message
 * @param bytes of the message, decompressed
 * @param problem what is wrong with it; null: nothing
 */
public record ResponseSummary(long firstIndex, long images, long bytes, @Nullable String problem) {

  public static final long UNKNOWN = -1;

  /** Summarizes messages. Thread-safe. */
  public interface Reader {

    /** Reads as much of the message as it needs. */
    ResponseSummary read(InputStream message) throws IOException;
  }

  /** The method, with responses that {@code reader} summarizes. */
  public static <Q> MethodDescriptor<Q, ResponseSummary> of(
      MethodDescriptor<Q, ?> method, Reader reader) {
    return method.toBuilder(method.getRequestMarshaller(), new ReadOnlyMarshaller(reader)).build();
  }

  private record ReadOnlyMarshaller(Reader reader) implements Marshaller<ResponseSummary> {

    @Override
    public InputStream stream(ResponseSummary response) {
      throw new UnsupportedOperationException("responses are only read");
    }

    @Override
    public ResponseSummary parse(InputStream message) {
      try {
        return reader.read(message);
      } catch (IOException e) {
        throw Status.INTERNAL
            .withDescription("cannot read a response: " + e.getMessage())
            .withCause(e)
            .asRuntimeException();
      }
    }
  }
}
