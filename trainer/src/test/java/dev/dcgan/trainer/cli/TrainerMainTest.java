package dev.dcgan.trainer.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.TrustedKeys;
import dev.dcgan.trainer.TrainerMain;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.service.FailingTrainer;
import dev.dcgan.trainer.service.TestRunManager;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunState;
import java.awt.image.BufferedImage;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The command line in a process of its own, as an operator meets it. */
@Timeout(value = 3, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TrainerMainTest {

  private static final List<String> QUICK =
      List.of(
          "train",
          "--device=cpu",
          "--images=64",
          "--batch-size=16",
          "--width=4",
          "--latent=8",
          "--seed=18446744073709551615",
          "--http-port=0");

  private static final List<String> SMALL =
      List.of("train", "--device=cpu", "--batch-size=16", "--width=4", "--latent=8");

  private static final String MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB.";

  // Long enough to be interrupted on the way.
  private static final String LONG = "--epochs=40";

  // Trained once: most tests train on the same digits.
  @TempDir private static Path classifiers;

  @TempDir private Path folder;

  @BeforeEach
  void shareClassifiers() throws IOException {
    Path runs = Files.createDirectory(folder.resolve("runs"));
    Files.createSymbolicLink(runs.resolve(".cache"), classifiers);
  }

  /** For tests of which files a command creates. */
  private void removeRuns() throws IOException {
    Files.delete(folder.resolve("runs/.cache"));
    Files.delete(folder.resolve("runs"));
  }

  @Test
  void train_onSigterm_keepsACheckpoint_whichExportPublishes() throws Exception {
    try (Trainer trainer = start(QUICK, "--epochs=100000")) {
      trainer.awaitLine("epoch 2/100000: ");
      trainer.terminate();

      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output())
          .contains("interrupted at step", "`trainer train --resume ")
          .doesNotContain("Exception", "\tat ");
    }
    assertThat(folder.resolve("models")).isEmptyDirectory();

    Path keys = folder.resolve("keys");
    try (Trainer trainer = start(List.of("keygen"), "--out=" + keys)) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output()).contains("signing-key.pem signs models; keep it secret");
    }
    try (Trainer trainer =
        start(
            List.of("export"),
            "--checkpoint=" + newestCheckpoint(),
            "--model=stopped",
            "--signing-key=" + keys.resolve("signing-key.pem"))) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
    }
    ModelBundle model =
        ModelRepository.trusting(
                folder.resolve("models"), TrustedKeys.read(keys.resolve("trusted-keys.pem")))
            .open("stopped", 1);
    assertThat(model.latentSize()).isEqualTo(8);
    assertThat(model.manifest().getOrigin().getRunId())
        .isEqualTo(onlyEntry(folder.resolve("runs")).getFileName().toString());
    assertThat(model.manifest().getOrigin().getSeed()).isEqualTo(-1);
  }

  @Test
  void train_namedRun_onSigterm_isContinuedToTheSameWeights() throws Exception {
    List<String> conditional = new ArrayList<>(QUICK);
    conditional.add("--conditional");
    try (Trainer trainer = start(conditional, LONG, "--model=undisturbed")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output()).contains("10 classes", "label accuracy", "Frechet by class");
    }

    try (Trainer trainer = start(conditional, LONG, "--run=sweep-3")) {
      trainer.awaitLine("epoch 2/40: ");
      trainer.terminate();
      assertThat(trainer.exitCode()).as(trainer.output()).isEqualTo(75);
    }
    RunDirectory run = new RunDirectory(folder.resolve("runs/sweep-3"));
    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    assertThat(models().versions("mnist28")).isEmpty();

    try (Trainer trainer = start(QUICK, LONG, "--run=sweep-3")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output()).contains("--conditional not given (was true)");
    }
    try (Trainer trainer = start(conditional, LONG, "--run=sweep-3")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output()).contains("resuming from", "published mnist28/1");
    }
    assertThat(models().open("mnist28", 1).readModel())
        .isEqualTo(models().open("undisturbed", 1).readModel());

    Run done = run.read();
    try (Trainer trainer = start(Map.of("DCGAN_RUN", "sweep-3"), conditional, LONG)) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output().lines())
          .singleElement()
          .asString()
          .endsWith("run sweep-3 has SUCCEEDED already, and has published mnist28/1");
    }
    assertThat(models().versions("mnist28")).containsExactly(1L);
    assertThat(run.read()).isEqualTo(done);
  }

  @Test
  void train_namedRun_outOfMemory_isContinuedToTheSameWeights() throws Exception {
    try (Trainer trainer = start(QUICK, "--epochs=4", "--model=undisturbed")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
    }

    try (Trainer trainer = startFailing(MEMORY, QUICK, "--epochs=4", "--run=sweep-7")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isEqualTo(75);
      assertThat(trainer.output())
          .contains("run sweep-7 was interrupted at step 8: out of memory: " + MEMORY)
          .doesNotContain("fault of this program", "Exception", "\tat ");
    }
    RunDirectory run = new RunDirectory(folder.resolve("runs/sweep-7"));
    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_RUNNING);

    try (Trainer trainer = start(QUICK, "--epochs=4", "--run=sweep-7")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output()).contains("step-00000008.safetensors");
    }
    assertThat(models().open("mnist28", 1).readModel())
        .isEqualTo(models().open("undisturbed", 1).readModel());
  }

  @Test
  void train_onALostDevice_saysInOneLineHowToContinue() throws Exception {
    try (Trainer trainer =
        startFailing("CUDA error: unspecified launch failure", QUICK, "--epochs=4")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isEqualTo(1);
      assertThat(trainer.output().lines().filter(line -> line.startsWith("error: ")))
          .singleElement()
          .asString()
          .contains("unspecified launch failure", "`trainer train --resume ");
      assertThat(trainer.output()).doesNotContain("fault of this program", "\tat ");
    }
    String id = onlyEntry(folder.resolve("runs")).getFileName().toString();

    try (Trainer trainer = start(List.of("train"), "--resume=" + id, "--http-port=0")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output()).contains("step-00000004.safetensors");
    }
  }

  @Test
  void train_ofARunOfAGpuThatIsGone_waits_untilItIsMoved() throws Exception {
    List<String> auto = new ArrayList<>(QUICK);
    auto.set(1, "--device=auto");
    try (Trainer trainer = startFailing(MEMORY, auto, "--epochs=4", "--run=sweep-8")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isEqualTo(75);
    }
    RunDirectory run = new RunDirectory(folder.resolve("runs/sweep-8"));
    run.write(run.read().toBuilder().setDevice("cuda:63").build()); // Which no machine has.

    try (Trainer trainer = start(auto, "--epochs=4", "--run=sweep-8")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isEqualTo(75);
      assertThat(trainer.output()).contains("cuda:63", "--device cpu").doesNotContain("\tat ");
    }
    try (Trainer trainer = start(List.of("train"), "--resume=sweep-8", "--http-port=0")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isEqualTo(1);
      assertThat(trainer.output().lines()).singleElement().asString().contains("cuda:63");
    }
    assertThat(run.read())
        .returns(RunState.RUN_STATE_RUNNING, Run::getState)
        .returns("cuda:63", Run::getDevice);

    try (Trainer trainer =
        start(QUICK, "--epochs=4", "--run=sweep-8", "--http-address=0.0.0.0", "--insecure")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output())
          .contains("moves: device=cpu (was auto)")
          .contains("plain text: no encryption of HTTP", "whoever reaches HTTP", "address=0.0.0.0");
    }
    assertThat(run.read())
        .returns(RunState.RUN_STATE_SUCCEEDED, Run::getState)
        .returns("cpu", Run::getDevice);
  }

  @Test
  void serve_outOfMemory_endsWith75_andTheNextStartTrainsAllRuns() throws Exception {
    RunConfig config =
        RunConfig.newBuilder()
            .setDevice("cpu")
            .setImages(64)
            .setBatchSize(16)
            .setWidth(4)
            .setLatent(8)
            .setEpochs(4)
            .setModel("digits")
            .build();
    RunStore store = new RunStore(folder.resolve("runs"), TestRunManager.CLOCK);
    Run draft = Run.newBuilder().setConfig(config).setByService(true).build();
    RunDirectory first = store.create(draft);
    RunDirectory second = store.create(draft);
    List<String> serve = List.of("serve", "--device=cpu", "--port=0", "--http-port=0");

    try (Trainer trainer = startFailing(MEMORY, serve, "--http-address=0.0.0.0", "--insecure")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isEqualTo(75);
      assertThat(trainer.output())
          .contains("plain text: no encryption of HTTP", "whoever reaches HTTP", "address=0.0.0.0")
          .contains(first.id() + " was interrupted at step 8: out of memory: " + MEMORY)
          .doesNotContain("fault of this program", "\tat ");
    }
    assertThat(first.read().getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    assertThat(second.read().getState()).isEqualTo(RunState.RUN_STATE_QUEUED);

    try (Trainer trainer = start(serve)) {
      trainer.awaitLine("run %s is SUCCEEDED".formatted(first.id()));
      trainer.awaitLine("run %s is SUCCEEDED".formatted(second.id()));
      trainer.terminate();
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
    }
    assertThat(models().open("digits", 1).readModel())
        .as("the same weights, interrupted or not")
        .isEqualTo(models().open("digits", 2).readModel());
  }

  @Test
  void train_killedRun_isContinued_notWithOtherSettings() throws Exception {
    Path settings =
        Files.writeString(folder.resolve("0"), "# index 0\n--beta1 0.4 --model sweep-0\n");
    try (Trainer trainer = start(QUICK, LONG, "--run=sweep-0", "@0")) {
      trainer.awaitLine("epoch 2/40: ");
      trainer.kill();
    }
    RunDirectory run = new RunDirectory(folder.resolve("runs/sweep-0"));
    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    Files.writeString(settings, "--beta1 0.6 --model sweep-0 --max-unreadable 3\n");

    try (Trainer trainer = start(QUICK, LONG, "--run=sweep-0", "@0")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output().lines())
          .singleElement()
          .asString()
          .startsWith("error: cannot continue run sweep-0: ")
          .contains("--max-unreadable 3 (was not given), --beta1 0.6 (was 0.4);");
    }
    Files.writeString(settings, "--beta1=0.4\n--model=sweep-0\n");
    try (Trainer trainer = start(QUICK, LONG, "--run=sweep-0", "@0")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output()).contains("resuming from");
    }
    assertThat(models().versions("sweep-0")).containsExactly(1L);
  }

  @Test
  void train_whoseEndCannotBeWritten_publishesNothingTwice() throws Exception {
    Path file = folder.resolve("runs/sweep-5/run.json");
    byte[] before;
    try (Trainer trainer = start(QUICK, LONG, "--run=sweep-5")) {
      trainer.awaitLine("epoch 2/40: ");
      before = Files.readAllBytes(file);
      putInTheWay(file);

      assertThat(trainer.exitCode()).as(trainer.output()).isEqualTo(1);
      assertThat(trainer.output())
          .contains(
              "published mnist28/1",
              "error: run sweep-5 has SUCCEEDED, but that could not be written in ",
              "start the same command again")
          .doesNotContain("\tat ");
    }
    Files.delete(file);
    Files.write(file, before);

    try (Trainer trainer = start(QUICK, LONG, "--run=sweep-5")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
    }

    assertThat(models().versions("mnist28")).containsExactly(1L);
    Run run = new RunDirectory(folder.resolve("runs/sweep-5")).read();
    assertThat(run.getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(run.getPublishedList())
        .containsExactly(models().open("mnist28", 1).manifest().getModel());
  }

  /** Puts a folder in a file's place, whoever writes the file meanwhile. */
  private static void putInTheWay(Path file) throws IOException {
    while (!Files.isDirectory(file)) {
      Files.deleteIfExists(file);
      try {
        Files.createDirectory(file);
      } catch (FileAlreadyExistsException e) {
        // It was written just now.
      }
    }
  }

  @Test
  void train_runOfAnOlderProgram_isCompletedWithDefaults() throws Exception {
    RunConfig older =
        RunConfig.newBuilder()
            .setDevice("cpu")
            .setImages(64)
            .setBatchSize(16)
            .setWidth(4)
            .setLatent(8)
            .setSeed(-1)
            .setModel("mnist28")
            .build();
    new RunStore(folder.resolve("runs"), InstantSource.system())
        .create("sweep-4", Run.newBuilder().setConfig(older).build());

    try (Trainer trainer = start(QUICK, "--run=sweep-4", "--label-smoothing=0.1")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output()).contains("other settings: --label-smoothing 0.1 (was 0.0);");
    }
    try (Trainer trainer = start(QUICK, "--run=sweep-4", "--epochs=10")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output()).contains("other settings: --epochs 10 (was ");
    }
    RunDirectory run = new RunDirectory(folder.resolve("runs/sweep-4"));
    run.write(run.read().toBuilder().setState(RunState.RUN_STATE_SUCCEEDED).build());
    try (Trainer trainer = start(QUICK, "--run=sweep-4")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output()).contains("run sweep-4 has SUCCEEDED already");
    }
  }

  @Test
  void train_namedRunThatFailed_endsWith65EachTime() throws Exception {
    String[] options = {"--epochs=3", "--learning-rate=1e30", "--run=sweep-1"};
    try (Trainer trainer = start(QUICK, options)) {
      assertThat(trainer.exitCode()).isEqualTo(65);
    }

    try (Trainer trainer = start(QUICK, options)) {
      assertThat(trainer.exitCode()).isEqualTo(65);
      assertThat(trainer.output().lines())
          .singleElement()
          .asString()
          .startsWith("error: run sweep-1 has FAILED (")
          .contains("is not finite at epoch 1");
    }
    RunDirectory run = new RunDirectory(folder.resolve("runs/sweep-1"));
    run.write(
        run.read().toBuilder().setState(RunState.RUN_STATE_STOPPED).setReason("collapsed").build());
    try (Trainer trainer = start(QUICK, options)) {
      assertThat(trainer.exitCode()).isEqualTo(65);
      assertThat(trainer.output())
          .startsWith("error: run sweep-1 has STOPPED (collapsed); only an interrupted run");
    }
  }

  @Test
  void train_namedRunThatCouldNotPublish_publishesLater() throws Exception {
    Files.createDirectory(folder.resolve("models"));
    Path inTheWay = Files.writeString(folder.resolve("models/mnist28"), "a file in the way");
    String[] options = {"--epochs=2", "--run=sweep-6"};
    RunDirectory run = new RunDirectory(folder.resolve("runs/sweep-6"));
    try (Trainer trainer = start(QUICK, options)) {
      assertThat(trainer.exitCode()).as(trainer.output()).isEqualTo(1);
      assertThat(trainer.output()).contains("epoch 2/2: ", "error: ").doesNotContain("\tat ");
    }
    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    assertThat(run.read().getReason()).contains("mnist28");
    Files.delete(inTheWay);

    try (Trainer trainer = start(QUICK, options)) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output())
          .contains("resuming from", "published mnist28/1")
          .doesNotContain("epoch 2/2: ");
    }
    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
  }

  @Test
  void train_namedRun_isCheckedFirst() throws Exception {
    removeRuns();
    try (Trainer trainer = start(List.of("train"), "--run=../sweep", "--resume=sweep")) {
      assertThat(trainer.exitCode()).isEqualTo(2);
      assertThat(trainer.output().lines())
          .containsExactly(
              "error: --run '../sweep': expected lower-case letters, digits, '.', '-' and '_', at"
                  + " most 101",
              "error: --resume sweep beside --run ../sweep: expected one of them",
              "see: trainer train --help");
    }
    try (Trainer trainer =
        start(List.of("train"), "--run=sweep-2", "--images=10", "--http-port=0")) {
      assertThat(trainer.exitCode()).isEqualTo(65); // The same command would fail again.
    }
    assertThat(folder.resolve("runs")).as("no run that could never begin").doesNotExist();
  }

  @Test
  void evaluate_ofACheckpoint_usesItsRunsImages() throws Exception {
    try (Trainer trainer = start(QUICK, "--epochs=1", "--evaluation-images=100")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
    }

    try (Trainer trainer =
        start(
            List.of("evaluate"), "--checkpoint=" + newestCheckpoint(), "--evaluation-images=100")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output()).contains("Frechet distance", "precision", "held-out");
    }
    try (Trainer trainer =
        start(List.of("evaluate"), "--model=mnist28", "--images=64", "--evaluation-images=100")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output()).contains("error: cannot evaluate: no images are named");
    }
    try (Trainer trainer =
        start(
            List.of("evaluate"),
            "--model=mnist28",
            "--dataset=digits",
            "--images=64",
            "--evaluation-images=100")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output()).contains("Frechet distance", "precision", "held-out");
    }
  }

  @Test
  void evaluate_ofAConditionalModel_hasATableOfTheClasses() throws Exception {
    try (Trainer trainer =
        start(QUICK, "--conditional", "--epochs=1", "--run=c", "--evaluation-images=100")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
    }

    for (String what : List.of("--checkpoint=" + newest("c"), "--model=mnist28")) {
      try (Trainer trainer =
          start(
              List.of("evaluate"),
              what,
              "--dataset=digits",
              "--images=300",
              "--evaluation-images=200")) {
        assertThat(trainer.exitCode()).as(trainer.output()).isZero();
        assertThat(trainer.output())
            .containsPattern("label accuracy +[0-9.]+ +[0-9.]+ +200")
            .containsPattern("class +accuracy +real +Frechet +real +images")
            .containsPattern("(?m)^9 +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9]+ against 30 held");
      }
    }
    try (Trainer trainer =
        start(List.of("export"), "--checkpoint=" + newest("c"), "--model=exported")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
    }
    assertThat(models().open("exported", 1).classes().orElseThrow().size()).isEqualTo(10);
    try (Trainer trainer = start(QUICK, "--init-from=c", "--epochs=1")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output())
          .contains("--init-from c: it has conditional true; expected false");
    }
  }

  @Test
  void train_onColorImages_needsNoPreset_andSaysWhatItExpects() throws Exception {
    colorImages("pets");
    List<String> colors = List.of("--data=pets", "--epochs=1", "--run=pets", "--http-port=0");

    for (int start = 0; start < 2; start++) {
      try (Trainer trainer = start(SMALL, colors.toArray(String[]::new))) {
        assertThat(trainer.exitCode()).as(trainer.output()).isZero();
        assertThat(trainer.output()).contains(start == 0 ? "--preset photo64" : "SUCCEEDED");
        assertThat(trainer.output().contains("expected time of training on cpu"))
            .isEqualTo(start == 0);
      }
    }

    ModelBundle published = models().open("photo64", 1);
    assertThat(published.shape()).isEqualTo(new ImageShape(32, 32, 3));
    assertThat(published.manifest().getWarningsList())
        .anySatisfy(line -> assertThat(line).contains("2 steps", "--epochs"))
        .anySatisfy(line -> assertThat(line).contains("18 images"));
  }

  @Test
  void train_withAPresetForGreyImages_namesTheOneForColor() throws Exception {
    colorImages("pets");

    try (Trainer trainer = start(SMALL, "--data=pets", "--preset=mnist28", "--http-port=0")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output()).contains("--preset paper64", "--channels 1");
    }
  }

  @Test
  void evaluate_ofAModelOfConvertedImages_convertsThem() throws Exception {
    colorImages("pets/cat");
    colorImages("pets/dog");

    try (Trainer trainer =
        start(SMALL, "--data=pets", "--channels=1", "--epochs=1", "--http-port=0", "--model=g")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
    }
    assertThat(models().open("g", 1).shape()).isEqualTo(new ImageShape(32, 32, 1));
    try (Trainer trainer = start(List.of("evaluate"), "--model=g", "--data=pets")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output())
          .contains("not comparable with Inception FID", "warning: ", "near chance");
    }
    try (Trainer trainer = start(List.of("evaluate"), "--model=g", "--data=pets/cat")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output().lines())
          .filteredOn(line -> line.startsWith("error: "))
          .singleElement()
          .asString()
          .contains("has no labels", "--features");
    }
  }

  /** Twenty RGB images of 40x40. */
  private void colorImages(String name) throws IOException {
    Path images = Files.createDirectories(folder.resolve(name));
    Random random = new Random(name.length());
    for (int i = 0; i < 20; i++) {
      BufferedImage image = new BufferedImage(40, 40, BufferedImage.TYPE_INT_RGB);
      for (int y = 0; y < 40; y++) {
        for (int x = 0; x < 40; x++) {
          image.setRGB(x, y, random.nextInt(1 << 24));
        }
      }
      ImageIO.write(image, "png", images.resolve("%02d.png".formatted(i)).toFile());
    }
  }

  @Test
  void benchmark_printsEachPhase_andTheRatio() throws Exception {
    try (Trainer trainer =
        start(
            List.of("benchmark"),
            "--conditional",
            "--width=8",
            "--batch-size=16",
            "--steps=2",
            "--turns=2")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output())
          .contains("mnist28 (28x28x1, latent 64, width 8, 10 classes), batches of 16, on cpu")
          .containsPattern("images/s +[0-9.]+ +[0-9.]+ +[0-9.]+")
          .contains("batch to the device, ms", "D step, ms", "G step, ms")
          .containsPattern("% of a product's [1-9][0-9]* +[0-9.]+ +[0-9.]+");
    }
    try (Trainer trainer = start(List.of("benchmark"), "--preset=none", "--turns=0")) {
      assertThat(trainer.exitCode()).isEqualTo(2);
      assertThat(trainer.output())
          .contains("--preset none: expected one of mnist28, mnist28-fast, paper64", "--turns 0");
    }
  }

  @Test
  void train_whenItDiverges_publishesNothing() throws Exception {
    try (Trainer trainer = start(QUICK, "--epochs=3", "--learning-rate=1e30")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output().lines().toList())
          .last()
          .asString()
          .startsWith("error: ")
          .contains("is not finite at epoch 1", "--learning-rate", "there is no checkpoint");
      assertThat(trainer.output()).doesNotContain("Exception", "\tat ");
    }
    assertThat(folder.resolve("models")).isEmptyDirectory();
  }

  @Test
  void train_whenThePublishedCannotBeWritten_hasNamedTheCheckpoint() throws Exception {
    Files.createDirectory(folder.resolve("models"));
    Files.writeString(folder.resolve("models/mnist28"), "a file in the way");

    try (Trainer trainer = start(QUICK, "--epochs=1")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output())
          .contains(
              "kept " + Path.of("runs").resolve(onlyEntry(folder.resolve("runs")).getFileName()))
          .contains("error: ")
          .doesNotContain("\tat ");
    }
  }

  @Test
  void train_whenItCouldNotEndWell_saysSoBeforeItBegins() throws Exception {
    removeRuns();
    Files.writeString(folder.resolve("file"), "no folder");

    try (Trainer trainer = start(QUICK, "--repository=file")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output()).startsWith("error: --repository file").doesNotContain("\tat ");
    }
    try (Trainer trainer =
        start(List.of("train"), "--images=10", "--batch-size=16", "--http-port=0")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output()).contains("digits: it has 10 images");
    }
    assertThat(folder.resolve("runs")).doesNotExist();
  }

  @Test
  void train_whenSettingsAreWrong_reportsAllOfThem() throws Exception {
    removeRuns();
    try (Trainer trainer =
        start(
            List.of("train"),
            "--data=absent",
            "--dataset=faces",
            "--images=1",
            "--epochs=0",
            "--batch-size=1",
            "--latent=0",
            "--width=3",
            "--learning-rate=NaN",
            "--beta1=1",
            "--beta2=-0.1",
            "--seed=-1",
            "--device=tpu",
            "--model=Digits",
            "--signing-key=absent.pem",
            "--http-port=65536")) {
      assertThat(trainer.exitCode()).isEqualTo(2);
      assertThat(trainer.output().lines())
          .hasSize(18)
          .anyMatch(line -> line.startsWith("error: --images beside --data: "))
          .last()
          .isEqualTo("see: trainer train --help");
      assertThat(trainer.output().lines().limit(17)).allMatch(line -> line.startsWith("error: "));
    }
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void serve_onADeviceThatDoesNotWork_doesNotStart() throws Exception {
    removeRuns();
    try (Trainer trainer =
        start(List.of("serve"), "--device=cuda:99", "--port=0", "--http-port=0")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output().lines())
          .singleElement()
          .asString()
          .startsWith("error: cannot use --device cuda:99: ");
    }
    assertThat(folder).isEmptyDirectory();
    try (Trainer trainer = start(Map.of("DCGAN_DEVICE", "tpu"), List.of("serve"))) {
      assertThat(trainer.exitCode()).isEqualTo(2);
      assertThat(trainer.output()).startsWith("error: --device 'tpu': expected auto, cpu, cuda");
    }
  }

  @Test
  void resume_ofARunInAnotherProcess_leavesItAlone() throws Exception {
    RunDirectory run =
        new RunStore(folder.resolve("runs"), InstantSource.system())
            .create(Run.newBuilder().setConfig(RunConfig.newBuilder().setImages(300)).build());
    try (RunRecords.Hold lock = new RunRecords(InstantSource.system()).lock(run).orElseThrow();
        Trainer trainer = start(List.of("train"), "--resume=" + run.id(), "--http-port=0")) {
      assertThat(lock).isNotNull();
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output())
          .contains("error: run " + run.id() + " is locked by another process")
          .doesNotContain("\tat ");
    }
    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_QUEUED);
  }

  @Test
  void resume_withMoreEpochs_trainsAFinishedRunFurther() throws Exception {
    List<String> resume = List.of("train", "--resume=a", "--http-port=0");
    try (Trainer trainer = start(QUICK, "--epochs=2", "--run=a")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
    }
    try (Trainer trainer = start(resume, "--epochs=2")) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output().lines())
          .singleElement()
          .asString()
          .contains("--epochs 2", "completed 2 epochs");
    }
    try (Trainer trainer = start(resume, "--width=8", "--model=b", "--seed=2")) {
      assertThat(trainer.exitCode()).isEqualTo(2);
      assertThat(trainer.output()).contains("--width", "--seed", "--model", "beside --resume");
    }
    try (Trainer trainer = start(resume, "--epochs=3")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output()).contains("epoch 3/3: ", "published mnist28/2");
    }
    try (Trainer trainer = start(QUICK, "--init-from=a", "--epochs=1", "--run=b")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isZero();
      assertThat(trainer.output()).contains("starting from the weights of a/");
    }
  }

  @Test
  void train_withoutATemporaryFolder_isRefusedAtStart() throws Exception {
    removeRuns();
    Path file = Files.createFile(folder.resolve("no-folder"));

    try (Trainer trainer =
        start(Map.of("JDK_JAVA_OPTIONS", "-Djava.io.tmpdir=" + file), QUICK, "--epochs=1")) {
      assertThat(trainer.exitCode()).as(trainer.output()).isEqualTo(1);
      assertThat(trainer.output()).contains("no-folder", "java.io.tmpdir").doesNotContain("\tat ");
    }
    assertThat(folder.resolve("runs")).doesNotExist();
  }

  @Test
  void export_ofNoCheckpoint_saysSo() throws Exception {
    Path file = Files.writeString(folder.resolve("notes.txt"), "not a checkpoint");

    try (Trainer trainer = start(List.of("export"), "--checkpoint=" + file)) {
      assertThat(trainer.exitCode()).isEqualTo(1);
      assertThat(trainer.output().lines())
          .singleElement()
          .asString()
          .startsWith("error: ")
          .contains(file + ": it is damaged");
    }
  }

  private ModelRepository models() {
    return new ModelRepository(folder.resolve("models"));
  }

  private Trainer start(List<String> command, String... options) throws IOException {
    return start(Map.of(), command, options);
  }

  /** PyTorch fails at the end of the second of four epochs. */
  private Trainer startFailing(String message, List<String> command, String... options)
      throws IOException {
    List<String> line = new ArrayList<>(List.of("epoch 2/4: ", message));
    line.addAll(command);
    return start(FailingTrainer.class, Map.of(), line, options);
  }

  private Trainer start(Map<String, String> environment, List<String> command, String... options)
      throws IOException {
    return start(TrainerMain.class, environment, command, options);
  }

  private Trainer start(
      Class<?> main, Map<String, String> environment, List<String> command, String... options)
      throws IOException {
    List<String> line =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                // Each process runs for seconds: optimizing its code costs more than it gains.
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Dai.djl.offline=true",
                "-Djava.awt.headless=true",
                "-cp",
                System.getProperty("java.class.path"),
                main.getName()));
    line.addAll(command);
    line.addAll(List.of(options));
    ProcessBuilder builder =
        new ProcessBuilder(line).directory(folder.toFile()).redirectErrorStream(true);
    builder.environment().put("OPT_OUT_TRACKING", "true");
    builder.environment().putAll(environment);
    return new Trainer(builder.start());
  }

  private Path newest(String run) throws IOException {
    RunDirectory folder = new RunDirectory(this.folder.resolve("runs").resolve(run));
    List<Path> kept = folder.keptCheckpoints(folder.read()).files();
    return kept.get(kept.size() - 1);
  }

  private Path newestCheckpoint() throws IOException {
    try (Stream<Path> files =
        Files.list(onlyEntry(folder.resolve("runs")).resolve("checkpoints"))) {
      return files.max(Path::compareTo).orElseThrow();
    }
  }

  private static Path onlyEntry(Path parent) throws IOException {
    try (Stream<Path> entries = Files.list(parent)) {
      List<Path> found =
          entries.filter(entry -> !entry.getFileName().toString().startsWith(".")).toList();
      assertThat(found).hasSize(1);
      return found.get(0);
    }
  }

  /** A running trainer; its output is read by whoever waits for a line of it or for its end. */
  private static final class Trainer implements AutoCloseable {

    private final Process process;
    private final BufferedReader reader;
    private final StringBuilder output = new StringBuilder();

    Trainer(Process process) {
      this.process = process;
      reader = process.inputReader();
    }

    void awaitLine(String part) throws IOException {
      for (String line = next(); !line.contains(part); line = next()) {}
    }

    /** Sends SIGTERM; not by the process, which would close the output too. */
    void terminate() {
      process.toHandle().destroy();
    }

    /** Sends SIGKILL. */
    void kill() throws InterruptedException {
      process.toHandle().destroyForcibly();
      process.waitFor();
    }

    /** Waits for the end. */
    int exitCode() throws IOException, InterruptedException {
      reader.lines().forEach(line -> output.append(line).append('\n'));
      return process.waitFor();
    }

    String output() {
      return output.toString();
    }

    private String next() throws IOException {
      String line = reader.readLine();
      assertThat(line).as("a line after:\n" + output).isNotNull();
      output.append(line).append('\n');
      return line;
    }

    @Override
    public void close() {
      process.destroyForcibly();
    }
  }
}
