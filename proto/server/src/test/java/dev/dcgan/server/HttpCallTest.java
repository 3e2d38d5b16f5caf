package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** A call whose client reads nothing, by a clock that the test moves. */
class HttpCallTest {

  private static final int BYTES = 1 << 20;
  private static final Duration LIMIT = ReadTime.DEFAULT.of(BYTES);

  private final AtomicInteger ended = new AtomicInteger();

  // Its writes never complete.
  private final EmbeddedChannel channel =
      new EmbeddedChannel(
          new ChannelOutboundHandlerAdapter() {
            @Override
            public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
              ReferenceCountUtil.release(message);
              var unused =
                  ctx.channel()
                      .closeFuture()
                      .addListener(
                          closed -> promise.tryFailure(new IOException("the client is gone")));
            }
          });

  @Test
  void responseThatIsNotRead_endsAfterItsTime() throws IOException {
    send();
    pass(LIMIT.minusSeconds(2));
    assertThat(channel.isOpen()).isTrue();
    assertThat(ended).hasValue(0);
    pass(Duration.ofSeconds(3));
    assertThat(channel.isOpen()).isFalse();
    assertThat(ended).hasValue(1);
  }

  @Test
  void timeInWhichThisProcessIsSuspended_doesNotCount() throws IOException {
    send();
    // While it is suspended nothing runs, and afterwards what is due by then.
    channel.advanceTimeBy(1, TimeUnit.HOURS);
    channel.runScheduledPendingTasks();
    pass(LIMIT.minusSeconds(4));
    assertThat(channel.isOpen()).isTrue();
    pass(Duration.ofSeconds(4));
    assertThat(channel.isOpen()).isFalse();
    assertThat(ended).hasValue(1);
  }

  private void send() throws IOException {
    channel.freezeTime();
    HttpCall call =
        new HttpCall(
            channel,
            new DefaultFullHttpRequest(HttpVersion.HTTP_1_1, HttpMethod.GET, "/large"),
            new byte[0],
            0,
            true,
            new HttpEventStream.Limits(
                new AddressPlaces(0), Duration.ofSeconds(1), Duration.ofSeconds(1)),
            ReadTime.DEFAULT,
            () -> {});
    call.send(200, BYTES, out -> out.write(new byte[BYTES]), ended::incrementAndGet);
  }

  /** Lets time pass, in which this process runs. */
  private void pass(Duration time) {
    for (long left = time.toMillis(); left > 0; left -= 10) {
      channel.advanceTimeBy(Math.min(left, 10), TimeUnit.MILLISECONDS);
      channel.runScheduledPendingTasks();
    }
  }
}
