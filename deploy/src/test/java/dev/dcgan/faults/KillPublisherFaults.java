package dev.dcgan.faults;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.e2e.Program;
import dev.dcgan.faults.FaultSettings.TimeBudget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Kills programs that write what others read: versions of a model, and shards. */
@ExtendWith(FaultTable.class)
class KillPublisherFaults {

  private static final String MODEL = "mnist28";

  @TempDir private static Path folder;

  @BeforeAll
  static void train() throws Exception {
    Programs.run(folder, Programs.smallTraining("--repository=models"));
  }

  @Test
  @DisplayName("kill -9: trainer export (publish)")
  void publish(FaultRow row) throws Exception {
    row.checked("a whole version or none, never two; the running sampler rejected none");
    Path repository = Files.createDirectories(folder.resolve("published"));
    long start = System.nanoTime();
    Programs.run(folder, publish(repository, "undisturbed"));
    Duration lifetime = Duration.ofNanos(System.nanoTime() - start);
    byte[] model = Repositories.model(repository, "undisturbed", 1);
    Killer killer = new Killer(FaultSettings.random("publish"), lifetime, repository);

    int models = 0;
    try (Service sampler = Service.sampler(folder, "--repository=" + repository)) {
      // A model of its own until it is published: the same bytes are not published twice.
      for (TimeBudget budget = FaultSettings.budget(0.08); budget.isLeft(row.times()); models++) {
        String name = "model-" + models;
        while (true) {
          try (Program publisher = Program.start(folder, publish(repository, name))) {
            if (!killer.kill(publisher)) {
              assertThat(publisher.awaitExit()).as(publisher.output()).isZero();
              break;
            }
          }
          row.count();
          assertThat(Repositories.requireWhole(repository, name)).isSubsetOf(1L);
        }
        assertThat(Repositories.requireWhole(repository, name)).containsExactly(1L);
        Repositories.requireModel(repository, name, 1, model);
        assertThat(hidden(repository.resolve(name))).containsExactly(".last-version", ".lock");
        sampler.program().awaitLine("serving " + name + "/1 ");
      }
      assertThat(sampler.metric("sampler_models_rejected_total")).isZero();
    }
    row.result("%d models", models);
  }

  private static List<String> publish(Path repository, String model) throws IOException {
    return Programs.trainer(
        "export",
        "--checkpoint=" + newestCheckpoint(),
        "--model=" + model,
        "--repository=" + repository);
  }

  @Test
  @DisplayName("kill -9: sampler export (shards)")
  void export(FaultRow row) throws Exception {
    row.checked("every shard whole and the same bytes; complete after resuming, no leftovers");
    Path undisturbed = folder.resolve("shards");
    long start = System.nanoTime();
    Programs.run(folder, export(undisturbed));
    Duration lifetime = Duration.ofNanos(System.nanoTime() - start);
    Map<String, byte[]> expected = files(undisturbed);
    Random random = FaultSettings.random("export");

    int exports = 0;
    for (TimeBudget budget = FaultSettings.budget(0.1); budget.isLeft(); exports++) {
      Path out = folder.resolve("shards-" + exports);
      Killer killer = new Killer(random, lifetime, out);
      while (true) {
        try (Program exporter = Program.start(folder, export(out))) {
          if (!killer.kill(exporter)) {
            assertThat(exporter.awaitExit()).as(exporter.output()).isZero();
            break;
          }
        }
        row.count();
        files(out)
            .forEach((name, bytes) -> assertThat(bytes).as(name).isEqualTo(expected.get(name)));
      }
      Map<String, byte[]> found = files(out);
      assertThat(found.keySet()).isEqualTo(expected.keySet());
      found.forEach((name, bytes) -> assertThat(bytes).as(name).isEqualTo(expected.get(name)));
      assertThat(Repositories.leftovers(out)).isEmpty();
    }
    row.result("%d exports of %d files", exports, expected.size());
  }

  private static List<String> export(Path out) {
    return Programs.sampler(
        "export",
        "--model=" + MODEL,
        "--seed=5",
        "--count=40000",
        "--shard-images=1000",
        "--keep-existing",
        "--out=" + out);
  }

  private static Path newestCheckpoint() throws IOException {
    try (Stream<Path> files = Files.walk(folder.resolve("runs"))) {
      return files
          .filter(file -> file.toString().endsWith(".safetensors"))
          .filter(file -> file.toString().contains("checkpoints"))
          .max(Comparator.naturalOrder())
          .orElseThrow();
    }
  }

  /** The files that are not hidden. */
  private static Map<String, byte[]> files(Path parent) throws IOException {
    Map<String, byte[]> files = new TreeMap<>();
    if (Files.isDirectory(parent)) {
      try (Stream<Path> entries = Files.list(parent)) {
        for (Path entry : entries.toList()) {
          String name = entry.getFileName().toString();
          if (!name.startsWith(".")) {
            files.put(name, Files.readAllBytes(entry));
          }
        }
      }
    }
    return files;
  }

  private static List<String> hidden(Path parent) throws IOException {
    try (Stream<Path> entries = Files.list(parent)) {
      List<String> names =
          new ArrayList<>(entries.map(entry -> entry.getFileName().toString()).sorted().toList());
      names.removeIf(name -> !name.startsWith("."));
      return names;
    }
  }
}
