package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.trainer.config.ConfigViolation;
import dev.dcgan.v1.RunConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DataRootTest {

  @TempDir private Path folder;

  private final List<ConfigViolation> wrong = new ArrayList<>();
  private Path root;

  @BeforeEach
  void fill() throws IOException {
    root = Files.createDirectories(folder.resolve("data"));
    Files.createDirectories(root.resolve("faces/small"));
    Files.writeString(folder.resolve("secret.zip"), "not theirs");
    Files.createSymbolicLink(root.resolve("inside"), root.resolve("faces"));
    Files.createSymbolicLink(root.resolve("outside"), folder);
    // A folder whose name begins as the root's.
    Files.createDirectories(folder.resolve("data-of-others"));
    Files.createSymbolicLink(root.resolve("beside"), folder.resolve("data-of-others"));
  }

  @Test
  void resolve_findsWhatIsBelow_throughLinksToo() throws IOException {
    for (String path : List.of("faces/small", "./faces/small", "inside/small")) {
      RunConfig found =
          new DataRoot(root)
              .resolve(RunConfig.newBuilder().setData(path).setFeatures("faces").build(), wrong);

      assertThat(found.getData()).isEqualTo(root.resolve("faces/small").toRealPath().toString());
      assertThat(found.getFeatures()).isEqualTo(root.resolve("faces").toRealPath().toString());
    }
    assertThat(wrong).isEmpty();
  }

  @Test
  void resolve_ofWhatLeadsOut_orIsNotThere_isRefused() {
    assertRefused(folder.resolve("secret.zip").toString(), "relative to the service's --data-root");
    assertRefused(root.resolve("faces").toString(), "relative to the service's --data-root");
    assertRefused("../secret.zip", "without '..'");
    assertRefused("faces/../faces", "without '..'");
    assertRefused("outside", "leads out");
    assertRefused("outside/secret.zip", "leads out");
    assertRefused("beside", "leads out");
    assertRefused("absent", "no such file or folder");
    assertRefused("a\0b", "not a path");
  }

  @Test
  void resolve_withoutARoot_allowsNoPathAtAll() {
    RunConfig asked = RunConfig.newBuilder().setData("faces").setFeatures("f.onnx").build();

    assertThat(new DataRoot(null).resolve(asked, wrong)).isEqualTo(asked);

    assertThat(wrong).extracting(ConfigViolation::field).containsExactly("data", "features");
    assertThat(wrong)
        .extracting(ConfigViolation::description)
        .allMatch(description -> description.contains("started without --data-root"));
  }

  @Test
  void resolve_ofDigits_needsNoRoot() {
    RunConfig asked = RunConfig.newBuilder().setDataset("digits").build();

    assertThat(new DataRoot(null).resolve(asked, wrong)).isEqualTo(asked);
    assertThat(wrong).isEmpty();
  }

  private void assertRefused(String data, String why) {
    wrong.clear();
    RunConfig asked = RunConfig.newBuilder().setData(data).build();

    assertThat(new DataRoot(root).resolve(asked, wrong)).isEqualTo(asked);

    assertThat(wrong).singleElement().returns("data", ConfigViolation::field);
    assertThat(wrong.get(0).description()).contains(why).doesNotContain(folder + "/data-of");
  }
}
