package dev.dcgan.sampler.core;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.sampler.core.ImageStream.Chunk;
import dev.dcgan.sampler.scheduling.Images;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.scheduling.QueueFullException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class ImageStreamTest {

  private final List<Chunk<String>> started = new ArrayList<>();
  private final List<Long> firstIndexes = new ArrayList<>();
  private final List<String> heard = new ArrayList<>();
  private final CompletableFuture<Void> room = new CompletableFuture<>();
  private boolean ready = true;
  private @Nullable QueueFullException full;
  private @Nullable RuntimeException fault;
  private final ImageStream<String> stream =
      new ImageStream<>(100, 7, 3, new Maker(), new Reader(), () -> heard.add("ended"));

  @Test
  void chunks_areAtMostTwoUnderWay_andDeliveredInOrder() {
    stream.pump();
    assertThat(firstIndexes).containsExactly(100L, 103L);

    finish(1);
    assertThat(heard).isEmpty();
    assertThat(firstIndexes).hasSize(2);

    finish(0);
    assertThat(heard).containsExactly("100+3", "103+3");
    assertThat(firstIndexes).containsExactly(100L, 103L, 106L);

    finish(2);
    assertThat(heard).containsExactly("100+3", "103+3", "106+1", "ended", "complete");
  }

  @Test
  void readerThatIsNotReady_stopsTheWorkAfterTwoChunks() {
    ready = false;
    stream.pump();
    finish(0);
    finish(1);
    assertThat(heard).isEmpty();
    assertThat(started).hasSize(2);

    ready = true;
    stream.pump();
    assertThat(heard).containsExactly("100+3", "103+3");
    assertThat(started).hasSize(3);
  }

  @Test
  void cancel_takesQueuedChunksBack_andDeliversNothingMore() {
    stream.pump();
    stream.cancel();
    stream.cancel();
    assertThat(started).allMatch(chunk -> chunk.images().isCancelled());
    finish(0);
    stream.pump();
    assertThat(heard).containsExactly("ended");
    assertThat(started).hasSize(2);
  }

  @Test
  void failedChunk_failsTheStreamOnce_evenWhenTheReaderIsNotReady() {
    stream.pump();
    ready = false;
    started.get(0).result().completeExceptionally(failure("broken"));
    assertThat(heard).containsExactly("ended", "failed: broken");
    assertThat(started.get(1).images().isCancelled()).isTrue();
  }

  @Test
  void faultInStartingAChunk_failsTheStreamOnce() {
    stream.pump();
    fault = failure("no memory");
    finish(0);
    assertThat(heard).containsExactly("100+3", "ended", "failed: no memory");
    assertThat(started.get(1).images().isCancelled()).isTrue();
  }

  @Test
  void fullQueue_atTheFirstChunk_failsTheStream() {
    full = fullQueue();
    stream.pump();
    assertThat(heard).containsExactly("ended", "failed: " + full.getMessage());
  }

  @Test
  void fullQueue_withAChunkUnderWay_isTriedAgainAfterIt() {
    stream.pump();
    full = fullQueue();
    finish(0);
    assertThat(heard).containsExactly("100+3");

    full = null;
    finish(1);
    assertThat(heard).containsExactly("100+3", "103+3");
    assertThat(firstIndexes).containsExactly(100L, 103L, 106L);
  }

  @Test
  void fullQueue_withNothingInFlight_isRetriedWhenThereIsRoom() {
    stream.pump();
    full = fullQueue();
    finish(0);
    finish(1);
    assertThat(heard).containsExactly("100+3", "103+3");
    assertThat(started).hasSize(2);

    full = null;
    room.complete(null);
    finish(2);
    assertThat(heard).endsWith("106+1", "ended", "complete");
  }

  private void finish(int chunk) {
    long first = firstIndexes.get(chunk);
    started.get(chunk).images().complete(images((int) Math.min(3, 107 - first)));
  }

  private static Images images(int count) {
    return new Images(Output.PIXELS, count, new byte[count], new Images.Times(0, 0, 0));
  }

  private static RequestException failure(String message) {
    return RequestException.of(RequestException.Code.UNAVAILABLE, message);
  }

  private static QueueFullException fullQueue() {
    return new QueueFullException(1, 9, 9, 9, Duration.ofMillis(5));
  }

  private final class Maker implements ImageStream.Source<String> {
    @Override
    public Chunk<String> start(long first, int count) throws QueueFullException {
      if (full != null) {
        throw full;
      }
      if (fault != null) {
        throw fault;
      }
      CompletableFuture<Images> images = new CompletableFuture<>();
      Chunk<String> chunk =
          new Chunk<>(images, images.thenApply(made -> first + "+" + made.count()));
      firstIndexes.add(first);
      started.add(chunk);
      return chunk;
    }

    @Override
    public CompletableFuture<Void> whenRoom() {
      return room;
    }
  }

  private final class Reader implements ResponseSink<String> {
    @Override
    public void hold(ResponseBudget.Reservation memory) {
      heard.add("hold");
    }

    @Override
    public boolean isReady() {
      return ready;
    }

    @Override
    public void send(String response) {
      heard.add(response);
    }

    @Override
    public void complete() {
      heard.add("complete");
    }

    @Override
    public void fail(RequestException reason) {
      heard.add("failed: " + reason.getMessage());
    }
  }
}
