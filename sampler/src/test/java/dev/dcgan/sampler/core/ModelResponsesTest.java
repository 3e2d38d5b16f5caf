package dev.dcgan.sampler.core;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.model.RepositorySurvey.Skipped;
import dev.dcgan.v1.ListModelsResponse;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ModelResponsesTest {

  @Test
  void skippedPaths_areBounded_andCounted() {
    List<Skipped> skipped =
        IntStream.range(0, 1000)
            .mapToObj(i -> new Skipped(Path.of("m%03d\n".formatted(i)), "is a file", false))
            .toList();

    ListModelsResponse response = ModelResponses.of(List.of(), skipped, 4 << 20);

    assertThat(response.getSkippedTotal()).isEqualTo(1000);
    assertThat(response.getSkippedCount()).isEqualTo(100);
    assertThat(response.getSkipped(0).getPath()).as("one line").isEqualTo("m000?");
  }
}
