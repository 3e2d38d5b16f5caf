package dev.dcgan.sampler.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.sampler.scheduling.BatchSlice;
import dev.dcgan.sampler.scheduling.LatencyProfile;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class VerifiedNetworksTest {

  private final List<String> closed = new ArrayList<>();

  private final class FakeNetwork implements Network {
    private final String name;
    private final boolean fails;

    FakeNetwork(String name, boolean fails) {
      this.name = name;
      this.fails = fails;
    }

    @Override
    public int latentSize() {
      return 4;
    }

    @Override
    public int imageBytes(Output output) {
      return 4;
    }

    @Override
    public void run(List<BatchSlice> batch) {}

    @Override
    public void close() {
      closed.add(name);
      if (fails) {
        throw new IllegalStateException(name);
      }
    }
  }

  @Test
  void close_whenSomeFail_closesAll_andReportsAllFailures() {
    VerifiedNetworks networks =
        networks(
            new FakeNetwork("first", true),
            new FakeNetwork("second", false),
            new FakeNetwork("third", true));

    assertThatThrownBy(networks::close)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("first")
        .satisfies(
            e ->
                assertThat(e.getSuppressed())
                    .singleElement()
                    .satisfies(later -> assertThat(later).hasMessage("third")));

    assertThat(closed).containsExactly("first", "second", "third");
  }

  @Test
  void close_whenNoneFails_closesAll() {
    networks(new FakeNetwork("first", false), new FakeNetwork("second", false)).close();

    assertThat(closed).containsExactly("first", "second");
  }

  private static VerifiedNetworks networks(Network... networks) {
    return new VerifiedNetworks(
        List.of(networks), LatencyProfile.of(new int[] {1}, new long[] {1_000_000}));
  }
}
