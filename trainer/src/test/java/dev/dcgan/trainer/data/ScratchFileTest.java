package dev.dcgan.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ScratchFileTest {

  @TempDir private Path folder;

  @Test
  void images_comeBack_whicheverPieceTheyAreIn() throws IOException {
    for (int count : new int[] {1, 3, 6, 7}) {
      try (ScratchFile file = ScratchFile.create(folder, 2, 3)) {
        for (int i = 0; i < count; i++) {
          file.add(new byte[] {(byte) i, (byte) -i});
        }
        file.seal();

        for (int i = count - 1; i >= 0; i--) {
          byte[] target = {9, 9, 9, 9};
          file.copy(i, target, 1);
          assertThat(target).containsExactly(9, i, -i, 9);
        }
      }
    }
  }

  @Test
  void aReadersInterruption_leavesTheFileOpen() throws IOException {
    try (ScratchFile file = ScratchFile.create(folder, 1)) {
      file.add(new byte[] {5});
      file.seal();
      byte[] target = new byte[1];

      Thread.currentThread().interrupt();
      file.copy(0, target, 0);
      assertThat(Thread.interrupted()).isTrue();
      assertThat(target).containsExactly(5);

      target[0] = 0;
      file.copy(0, target, 0);
      assertThat(target).containsExactly(5);
    }
  }
}
