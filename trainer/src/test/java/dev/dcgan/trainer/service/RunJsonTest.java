package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.v1.Run;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RunJsonTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "cannot read /srv/faces/a.png: damaged                | cannot read a.png: damaged",
        "cannot read /srv/my data/faces/a.png: damaged        | cannot read a.png: damaged",
        "cannot read /srv/a, b (c)/a.png: damaged             | cannot read a.png: damaged",
        "cannot read '/srv/my data/a b.png'; try again        | cannot read 'a b.png'; try again",
        "/a b/c.png and /d, e/f.png; 1/2 / 3 and/or x         | c.png and f.png; 1/2 / 3 and/or x",
      })
  void aText_hasNoFolders(String text, String clean) {
    Run run = Run.newBuilder().setReason(text).build();
    assertThat(RunJson.withoutFolders(run).getReason()).isEqualTo(clean);
  }

  @Test
  void aPathOfManyFolders_isCleaned() {
    Run run = Run.newBuilder().setReason("/" + "a/".repeat(100_000) + "b").build();
    assertThat(RunJson.withoutFolders(run).getReason()).isEqualTo("b");
  }
}
