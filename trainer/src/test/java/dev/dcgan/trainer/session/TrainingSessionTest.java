package dev.dcgan.trainer.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.tuple;

import ai.djl.engine.EngineException;
import dev.dcgan.latent.Labels;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.server.FinalFailureException;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.data.DatasetSplit;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.digits.DigitsDataset;
import dev.dcgan.trainer.eval.OnnxFeaturesTest;
import dev.dcgan.trainer.metrics.TrainerMetrics;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.run.StopSignal;
import dev.dcgan.trainer.torch.HostTensor;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.v1.DeviceFailure;
import dev.dcgan.v1.ImageClass;
import dev.dcgan.v1.ModelManifest;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole runs, of a narrow generator on few digits: 4 steps an epoch. */
class TrainingSessionTest {

  private static final int ANY = -1; // No image can be read.

  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final TrainerMetrics metrics = new TrainerMetrics(registry, InstantSource.system());

  // Trained once: most tests train on the same digits.
  @TempDir private static Path classifiers;

  @TempDir private Path folder;
  private RunStore store;
  private ModelRepository models;

  @BeforeEach
  void open() {
    store = new RunStore(folder.resolve("runs"), InstantSource.system());
    models = new ModelRepository(folder.resolve("models"));
  }

  @Test
  void train_writesAllFiles_andPublishesTheLastEpoch() throws Exception {
    RunDirectory run = create(config -> config.setEpochs(3));

    train(run, stop -> {});

    Run ended = run.read();
    assertThat(ended.getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(ended.hasStarted() && ended.hasEnded()).isTrue();
    assertThat(names(run.samples()))
        .containsExactly("epoch-000.png", "epoch-001.png", "epoch-002.png", "epoch-003.png");
    assertThat(names(run.checkpoints()))
        .containsExactly("step-00000008.safetensors", "step-00000012.safetensors");
    assertThat(ended.getCheckpointsList())
        .containsExactly("step-00000008.safetensors", "step-00000012.safetensors");
    BufferedImage sheet = ImageIO.read(run.samples().resolve("epoch-003.png").toFile());
    BufferedImage both = ImageIO.read(run.realVersusGenerated().toFile());
    assertThat(both.getHeight()).isEqualTo(sheet.getHeight());
    assertThat(both.getWidth()).isGreaterThan(2 * sheet.getWidth());
    assertThat(names(run.board())).singleElement().asString().contains("tfevents");
    ModelBundle published = models.open("mnist28", 1);
    assertThat(published.manifest().getOrigin().getRunId()).isEqualTo(run.id());
    assertThat(published.manifest().getOrigin().getPrecision()).isEqualTo("fp32");
    assertThat(published.manifest().getQualityMap())
        .containsKeys("frechet_distance", "frechet_floor", "precision", "export_max_difference")
        .containsAllEntriesOf(ended.getQualityMap());
    assertThat(published.manifest().getWarningsList())
        .anySatisfy(line -> assertThat(line).contains("12 steps", "--epochs"))
        .anySatisfy(line -> assertThat(line).contains("relative diversity"));
    assertThat(ended.getPublishedList()).containsExactly(published.manifest().getModel());
    assertThat(ended.getSamples()).isEqualTo("epoch-003.png");
    assertThat(quality(run, 8)).as("not evaluated").isEmpty();
    assertThat(quality(run, 12)).isNotEmpty().isEqualTo(ended.getQualityMap());
    assertThat(events(run))
        .extracting(RunEvent::getEventCase)
        .containsExactly(
            RunEvent.EventCase.STATE_CHANGED,
            RunEvent.EventCase.WARNING, // Too few steps,
            RunEvent.EventCase.WARNING, // and images.
            RunEvent.EventCase.SAMPLES_SAVED, // Before the first step.
            RunEvent.EventCase.EPOCH_COMPLETED,
            RunEvent.EventCase.CHECKPOINT_SAVED,
            RunEvent.EventCase.SAMPLES_SAVED,
            RunEvent.EventCase.EPOCH_COMPLETED,
            RunEvent.EventCase.CHECKPOINT_SAVED,
            RunEvent.EventCase.SAMPLES_SAVED,
            RunEvent.EventCase.EPOCH_COMPLETED,
            RunEvent.EventCase.CHECKPOINT_SAVED,
            RunEvent.EventCase.SAMPLES_SAVED,
            RunEvent.EventCase.EVALUATED,
            RunEvent.EventCase.WARNING, // The images are all alike.
            RunEvent.EventCase.MODEL_PUBLISHED,
            RunEvent.EventCase.STATE_CHANGED);
  }

  @Test
  void train_conditional_publishesTheClasses() throws Exception {
    RunDirectory run = create(config -> config.setEpochs(1).setConditional(true));

    train(run, stop -> {});

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(run.read().getConfig().getConditional()).isTrue();
    ModelBundle published = models.open("mnist28", 1);
    assertThat(published.manifest().getFormatVersion()).isEqualTo(3);
    assertThat(published.manifest().getLabelScheme()).isEqualTo(Labels.SCHEME);
    assertThat(published.classes()).get().asString().startsWith("0 (0), 1 (1)");
    assertThat(published.classes().orElseThrow().size()).isEqualTo(10);
    assertThat(published.manifest().getQualityMap())
        .containsKeys("label_accuracy", "class_frechet_distance", "class_frechet_distance/9");
    BufferedImage sheet = ImageIO.read(run.samples().resolve("epoch-001.png").toFile());
    assertThat(sheet.getHeight()).as("ten rows").isEqualTo(10 * (28 * 3 + 6) + 6);
    assertThat(CheckpointFile.read(InitialWeights.newest(run)).architecture().classes())
        .isEqualTo(10);
  }

  /** Of 20 cats and 16 dogs every tenth image is held out: two cats and a dog. */
  @Test
  void train_conditional_onFolders_publishesTheirNamesAndNumbers() throws Exception {
    Path pets = folder.resolve("pets");
    for (int i = 0; i < 36; i++) {
      BufferedImage picture = new BufferedImage(28, 28, BufferedImage.TYPE_BYTE_GRAY);
      picture.getRaster().setSample(i % 28, i < 20 ? 7 : 21, 0, 255);
      Path file = pets.resolve("%s/%02d.png".formatted(i < 20 ? "cat" : "dog", i));
      Files.createDirectories(file.getParent());
      ImageIO.write(picture, "png", file.toFile());
    }
    RunDirectory run =
        create(
            config ->
                config.clearImages().setData(pets.toString()).setEpochs(1).setConditional(true));

    train(run, stop -> {});

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    ModelBundle published = models.open("mnist28", 1);
    assertThat(published.manifest().getClassesList())
        .extracting(ImageClass::getName, ImageClass::getImages)
        .containsExactly(tuple("cat", 18L), tuple("dog", 15L));
    assertThat(published.manifest().getQualityMap())
        .containsKeys("label_accuracy", "class_frechet_distance/cat");
    String board =
        Files.readString(
            run.board().resolve(names(run.board()).get(0)), StandardCharsets.ISO_8859_1);
    assertThat(List.of("quality/label_accuracy", "quality/class_frechet_distance/cat"))
        .as("tags of TensorBoard")
        .allMatch(board::contains);
  }

  @Test
  void prepare_conditional_withoutLabels_saysWhatToDo() throws Exception {
    Path pictures = Files.createDirectories(folder.resolve("pictures"));
    for (int i = 0; i < 20; i++) {
      BufferedImage picture = new BufferedImage(28, 28, BufferedImage.TYPE_BYTE_GRAY);
      picture.getRaster().setSample(i % 28, 14, 0, 255);
      ImageIO.write(picture, "png", pictures.resolve("%02d.png".formatted(i)).toFile());
    }
    TrainingConfig config =
        TrainingConfig.of(
            config().clearImages().setData(pictures.toString()).setConditional(true).build());

    assertThatIOException()
        .isThrownBy(() -> training().prepare(config, "", new StopSignal()).close())
        .isInstanceOf(FinalFailureException.class)
        .withMessageContainingAll("--conditional on pictures", "no labels", "2 to 10000 classes");
  }

  @Test
  void initialWeights_mustHaveTheClassesOfTheRun() throws Exception {
    RunDirectory plain = create(config -> config.setEpochs(1));
    train(plain, stop -> {});
    RunDirectory conditional = create(config -> config.setEpochs(1).setConditional(true));
    train(conditional, stop -> {});
    TrainingConfig config = TrainingConfig.of(config().build());
    TrainingConfig withClasses = TrainingConfig.of(config().setConditional(true).build());
    Path file = InitialWeights.newest(conditional);

    assertThatIOException()
        .isThrownBy(() -> InitialWeights.find(plain.id(), store, models, withClasses))
        .withMessageContaining("it has conditional false; expected true");
    assertThatIOException()
        .isThrownBy(() -> InitialWeights.find(conditional.id(), store, models, config))
        .withMessageContaining("it has conditional true; expected false");
    assertThat(InitialWeights.find(conditional.id(), store, models, withClasses)).isEqualTo(file);
    InitialWeights.requireClasses(file, withClasses, new DigitsDataset(20, 5));
    assertThatIOException()
        .isThrownBy(() -> InitialWeights.requireClasses(file, withClasses, new DigitsDataset(5, 5)))
        .withMessageContainingAll("its classes are 0 (0)", "those of the images, 0 (0), 1 (1)");
  }

  @Test
  void train_updatesTheMetrics() throws Exception {
    RunDirectory run = create(config -> config.setEpochs(3));
    List<String> underWay = new ArrayList<>();
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      record.addListener(
          () -> {
            if (record.run().getProgress().getStep() > 0) {
              underWay.add(scrape());
            }
          });
      training().train(record, TrainingConfig.of(record.run().getConfig()), new StopSignal());
    }

    String info =
        "trainer_run_info{model=\"mnist28\",preset=\"mnist28\",run=\"" + run.id() + "\"} 1";
    assertThat(underWay.get(0))
        .contains(
            info,
            "trainer_epochs 3.0\n",
            "trainer_progress_ratio 0.33",
            "trainer_last_progress_timestamp_seconds ")
        .containsPattern("trainer_remaining_seconds [0-9.]+(E-?[0-9]+)?\n");
    assertThat(scrape())
        .as("the run is over")
        .doesNotContain("trainer_run_info{")
        .contains("trainer_remaining_seconds NaN\n")
        .contains(
            "trainer_quality_real{figure=\"frechet_distance\"} ",
            "trainer_quality_real{figure=\"modes_covered\"} ",
            "trainer_epoch 3.0\n",
            "trainer_progress_ratio 1.0\n",
            "trainer_steps_total 12.0\n",
            "trainer_images_total 192.0\n",
            "trainer_step_seconds_count 12\n",
            "trainer_discriminator_loss 0.",
            "trainer_generator_loss 0.",
            "trainer_real_score 0.",
            "trainer_fake_score 0.",
            "trainer_generator_gradient_norm ",
            "trainer_checkpoints_total 3.0\n",
            "trainer_last_checkpoint_timestamp_seconds ",
            "trainer_quality{figure=\"frechet_distance\"} ",
            "trainer_quality{figure=\"frechet_floor\"} ",
            "trainer_diversity ",
            "trainer_models_published_total 1.0\n");
  }

  @Test
  void train_resetsTheMetricsOfTheRunBefore() throws Exception {
    train(create(config -> {}), stop -> {});
    RunDirectory run = create(config -> config.clearImages().setData("absent"));
    List<String> scraped = new ArrayList<>();
    TrainingSession training =
        new TrainingSession(
            models,
            folder,
            classifiers,
            metrics,
            false,
            (choice, trainedOn) -> {
              scraped.add(scrape());
              return TrainingDevice.select(choice, trainedOn);
            });
    Outcome outcome;
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      TrainingConfig config = TrainingConfig.of(record.run().getConfig());
      outcome = training.train(record, config, new StopSignal());
    }

    assertThat(scraped)
        .singleElement()
        .asString()
        .contains(
            "run=\"" + run.id() + "\"} 1\n",
            "trainer_discriminator_loss NaN\n",
            "trainer_generator_loss NaN\n",
            "trainer_real_score NaN\n",
            "trainer_fake_score NaN\n",
            "trainer_discriminator_gradient_norm NaN\n",
            "trainer_generator_gradient_norm NaN\n",
            "trainer_diversity NaN\n",
            "trainer_epoch NaN\n",
            "trainer_progress_ratio NaN\n",
            "trainer_last_checkpoint_timestamp_seconds NaN\n",
            "trainer_steps_total 8.0\n")
        .doesNotContain("trainer_quality{", "trainer_quality_real{");
    assertThat(scrape()).doesNotContain("trainer_run_info{");
    assertThat(outcome.kind()).as("the images are absent").isEqualTo(Outcome.Kind.RETRY);
    assertThat(run.read())
        .returns(RunState.RUN_STATE_QUEUED, Run::getState)
        .returns(outcome.reason(), Run::getReason);
  }

  @Test
  void train_countsReadingAndEvaluatingAsProgress() throws Exception {
    Path pictures = Files.createDirectories(folder.resolve("pictures"));
    for (int i = 0; i < 32; i++) {
      BufferedImage picture = new BufferedImage(28, 28, BufferedImage.TYPE_BYTE_GRAY);
      picture.getRaster().setSample(i % 28, 14, 0, 255);
      Path file = pictures.resolve("%d/%02d.png".formatted(i % 2, i));
      Files.createDirectories(file.getParent());
      ImageIO.write(picture, "png", file.toFile());
    }
    RunDirectory run =
        create(config -> config.clearImages().setData(pictures.toString()).setEpochs(1));
    AtomicLong seconds = new AtomicLong(); // It is a second later whenever somebody looks.
    InstantSource clock = () -> Instant.ofEpochSecond(seconds.incrementAndGet());
    PrometheusRegistry registry = new PrometheusRegistry();
    Map<RunEvent.EventCase, Double> progressed = new EnumMap<>(RunEvent.EventCase.class);
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      record.addListener(() -> progressed.putIfAbsent(lastEvent(record), lastProgress(registry)));
      new TrainingSession(models, folder, classifiers, new TrainerMetrics(registry, clock), false)
          .train(record, TrainingConfig.of(record.run().getConfig()), new StopSignal());
    }

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(progressed.get(RunEvent.EventCase.STATE_CHANGED)).as("begun, and 32").isEqualTo(33);
    assertThat(
            Objects.requireNonNull(progressed.get(RunEvent.EventCase.EVALUATED))
                - Objects.requireNonNull(progressed.get(RunEvent.EventCase.CHECKPOINT_SAVED)))
        .as("the classifier's 50 steps, its trial, and real and generated pictures")
        .isGreaterThanOrEqualTo(50 + 1 + 3);
  }

  private static RunEvent.EventCase lastEvent(RunRecord record) {
    try {
      List<RunEvent> events = record.events(0, 1000).list();
      return events.get(events.size() - 1).getEventCase();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static double lastProgress(PrometheusRegistry registry) {
    return registry.scrape("trainer_last_progress_timestamp_seconds"::equals).stream()
        .map(GaugeSnapshot.class::cast)
        .mapToDouble(gauge -> gauge.getDataPoints().get(0).getValue())
        .findFirst()
        .orElseThrow();
  }

  @Test
  void warned_ofWhatLastsAlready_countsOnce() {
    metrics.warned("non_finite", true);
    metrics.warned("non_finite", true);
    assertThat(scrape()).contains("trainer_warnings_total{kind=\"non_finite\"} 1.0\n");

    metrics.warned("non_finite", false);
    metrics.warned("non_finite", true);
    assertThat(scrape()).contains("trainer_warnings_total{kind=\"non_finite\"} 2.0\n");
  }

  @Test
  void train_sameConfigTwice_publishesTheSameBytes() throws Exception {
    train(create(config -> config.setModel("a").setEmaDecay(0.9f)), stop -> {});
    train(create(config -> config.setModel("b").setEmaDecay(0.9f)), stop -> {});

    assertThat(models.open("b", 1).readModel()).isEqualTo(models.open("a", 1).readModel());
  }

  @Test
  void train_interrupted_isContinuedToTheSameBytes() throws Exception {
    Consumer<RunConfig.Builder> config =
        asked -> asked.setEpochs(3).setEmaDecay(0.9f).setCheckpointEvery(3);
    RunDirectory undisturbed = create(config);
    RunDirectory interrupted = create(config.andThen(asked -> asked.setModel("interrupted")));
    train(undisturbed, stop -> {});

    train(interrupted, StopSignal::interrupt);
    Run between = interrupted.read();
    train(interrupted, stop -> {});

    assertThat(between.getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    assertThat(between.getReason()).isEqualTo("interrupted at step 1");
    assertThat(between.getPublishedCount()).isZero();
    assertThat(interrupted.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(models.open("interrupted", 1).readModel())
        .isEqualTo(models.open("mnist28", 1).readModel());
    assertThat(events(interrupted))
        .filteredOn(RunEvent::hasResumed)
        .singleElement()
        .satisfies(event -> assertThat(event.getResumed().getStep()).isEqualTo(1));
  }

  @Test
  void train_interruptedBeforeImagesAreRead_changesNothing() throws Exception {
    RunDirectory run = create(config -> {});
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      StopSignal stop = new StopSignal();
      stop.interrupt();

      training().train(record, TrainingConfig.of(record.run().getConfig()), stop);
    }

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_QUEUED);
    assertThat(events(run)).isEmpty();
    assertThat(run.checkpoints()).isEmptyDirectory();
  }

  @Test
  void train_interruptedAtTheLastEpochsEnd_repeatsIt() throws Exception {
    RunDirectory undisturbed = create(config -> {});
    train(undisturbed, stop -> {});
    RunDirectory interrupted = create(config -> config.setModel("interrupted"));
    try (RunRecord record = RunRecord.open(interrupted, InstantSource.system())) {
      StopSignal stop = new StopSignal();
      record.addListener(
          () -> {
            if (record.run().getProgress().getStep() == 8) {
              stop.interrupt();
            }
          });

      train(record, stop);
    }
    Run between = interrupted.read();

    train(interrupted, stop -> {});

    assertThat(between.getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    assertThat(between.getEpochsCompleted()).isEqualTo(1);
    assertThat(between.getCheckpointsList()).contains("step-00000008.safetensors");
    assertThat(between.getQualityMap()).isEmpty();
    assertThat(interrupted.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(models.open("interrupted", 1).readModel())
        .isEqualTo(models.open("mnist28", 1).readModel());
    assertThat(interrupted.read().getQualityMap()).isEqualTo(undisturbed.read().getQualityMap());
  }

  @Test
  void train_extended_givesTheBytesOfOneRun() throws Exception {
    RunDirectory atOnce = create(config -> config.setEpochs(4));
    train(atOnce, stop -> {});
    RunDirectory extended = create(config -> config.setModel("extended"));
    train(extended, stop -> {});
    assertThat(extended.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);

    assertThat(trainAs(extended, config -> config.setEpochs(4)).kind())
        .isEqualTo(Outcome.Kind.SUCCEEDED);

    assertThat(extended.read())
        .returns(RunState.RUN_STATE_SUCCEEDED, Run::getState)
        .returns(4, run -> run.getConfig().getEpochs())
        .returns(4, Run::getEpochsCompleted);
    assertThat(extended.checkpoints().resolve("step-00000016.safetensors"))
        .hasSameBinaryContentAs(atOnce.checkpoints().resolve("step-00000016.safetensors"));
    assertThat(models.open("extended", 2).readModel())
        .isEqualTo(models.open("mnist28", 1).readModel());
  }

  @Test
  void train_onOtherImages_isRefused_andChangesNothing() throws Exception {
    RunDirectory run = create(config -> config.setEpochs(3));
    train(run, StopSignal::interrupt);
    RunDirectory done = create(config -> config.setEpochs(1));
    train(done, stop -> {});
    Run before = run.read();
    Run succeeded = done.read();

    Outcome outcome = trainAs(run, config -> config.setImages(70));

    assertThat(outcome.kind()).isEqualTo(Outcome.Kind.RETRY);
    assertThat(outcome.reason()).contains("cannot resume", "64 images", "70 images");
    assertThat(run.read().toBuilder().setReason(before.getReason()).build()).isEqualTo(before);
    trainAs(done, config -> config.setImages(70).setEpochs(2));
    assertThat(done.read()).isEqualTo(succeeded);
    train(run, stop -> {});
    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
  }

  @Test
  void train_whenTheEvaluationFails_publishesWithoutQuality() throws Exception {
    RunDirectory run = create(config -> {});
    TrainingConfig config = TrainingConfig.of(run.read().getConfig());
    DatasetSplit images = images(config, 0, "none", 1_000_000);
    ImageDataset unreadable =
        (ImageDataset)
            Proxy.newProxyInstance(
                ImageDataset.class.getClassLoader(),
                new Class<?>[] {ImageDataset.class},
                (proxy, method, arguments) -> {
                  if (method.getName().startsWith("copy")) {
                    throw new IOException("unreadable");
                  }
                  return method.invoke(images.heldOut(), arguments);
                });
    DatasetSplit failing = new DatasetSplit(images.training(), unreadable, true);
    try (RunRecord record = RunRecord.open(run, InstantSource.system());
        TrainingInputs inputs = new TrainingInputs(TrainingDevice.select("cpu"), failing)) {
      training().train(record, config, inputs, new StopSignal());
    }

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(models.open("mnist28", 1).manifest().getQualityMap())
        .doesNotContainKey("frechet_distance");
    assertThat(events(run))
        .filteredOn(RunEvent::hasWarning)
        .extracting(event -> event.getWarning().getKind())
        .contains("evaluation_failed");
  }

  @Test
  void train_fromInitialWeights_startsThere_withAFreshOptimizer() throws Exception {
    RunDirectory first = create(config -> config.setEpochs(1));
    train(first, stop -> {});
    Path from = InitialWeights.newest(first);
    // A step this small changes no weight.
    RunConfig config = config().setEpochs(1).setSeed(9).setLearningRate(1e-30f).build();
    RunDirectory second =
        store.create(
            Run.newBuilder()
                .setConfig(TrainingConfig.of(config).config())
                .setInitializedFrom(InitialWeights.name(from))
                .build(),
            from);

    train(second, stop -> {});

    Checkpoint initial = HostTensor.copyOf(CheckpointFile.read(from));
    Checkpoint trained = HostTensor.copyOf(CheckpointFile.read(InitialWeights.newest(second)));
    List<String> weights =
        initial.tensors().keySet().stream()
            .filter(name -> name.startsWith("generator.") || name.startsWith("discriminator."))
            .filter(name -> name.endsWith("weight"))
            .toList();
    assertThat(weights).hasSizeGreaterThan(4);
    for (String name : weights) {
      assertThat(trained.tensors().get(name))
          .as(name)
          .usingRecursiveComparison()
          .isEqualTo(initial.tensors().get(name));
    }
    assertThat(trained.step()).isEqualTo(4);
    assertThat(models.open("mnist28", 2).manifest().getOrigin().getInitializedFrom())
        .isEqualTo(first.id() + "/step-00000004.safetensors");
  }

  @Test
  void initialWeights_areFoundByFileRunAndModel() throws Exception {
    RunDirectory run = create(config -> config.setEpochs(1));
    train(run, stop -> {});
    TrainingConfig config = TrainingConfig.of(run.read().getConfig());
    Path file = InitialWeights.newest(run);

    for (String given : List.of(file.toString(), run.id(), "mnist28", "mnist28/1")) {
      assertThat(InitialWeights.find(given, store, models, config)).as(given).isEqualTo(file);
    }
    assertThatIOException()
        .isThrownBy(() -> InitialWeights.find("absent/2", store, models, config))
        .withMessageContaining("--init-from absent/2");
    TrainingConfig wider = TrainingConfig.of(config().setWidth(8).setLatent(9).build());
    assertThatIOException()
        .isThrownBy(() -> InitialWeights.find(run.id(), store, models, wider))
        .withMessageContainingAll("width 4; expected 8", "latent 8; expected 9");
  }

  @Test
  void train_stopped_keepsACheckpoint_andIsOver() throws Exception {
    RunDirectory run = create(config -> {});

    train(run, stop -> stop.stop("asked to"));

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_STOPPED);
    assertThat(run.read().getReason()).isEqualTo("asked to at step 1");
    assertThat(names(run.checkpoints())).containsExactly("step-00000001.safetensors");
    assertThat(models.models()).isEmpty();
  }

  @Test
  void train_withADamagedCheckpoint_resumesFromTheOneBefore() throws Exception {
    Consumer<RunConfig.Builder> config = asked -> asked.setCheckpointEvery(1);
    RunDirectory undisturbed = create(config);
    train(undisturbed, stop -> {});
    RunDirectory damaged = create(config.andThen(asked -> asked.setModel("damaged")));
    train(damaged, StopSignal::interrupt);
    train(damaged, StopSignal::interrupt);
    Path newest = damaged.checkpoints().resolve("step-00000002.safetensors");
    byte[] bytes = Files.readAllBytes(newest);
    bytes[bytes.length / 2] ^= 1;
    Files.write(newest, bytes);

    train(damaged, stop -> {});

    assertThat(events(damaged).stream().filter(RunEvent::hasResumed))
        .extracting(event -> event.getResumed().getCheckpoint())
        .containsExactly("step-00000001.safetensors", "step-00000001.safetensors");
    assertThat(damaged.checkpoints().resolve("step-00000002.safetensors.damaged")).exists();
    assertThat(models.open("damaged", 1).readModel())
        .isEqualTo(models.open("mnist28", 1).readModel());
  }

  @Test
  void train_whenACheckpointCannotBeWritten_continues() throws Exception {
    RunDirectory run = create(config -> config.setEpochs(3));
    Files.createDirectories(run.checkpoints().resolve("step-00000008.safetensors/in the way"));

    train(run, stop -> {});

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(scrape()).contains("trainer_write_failures_total{what=\"checkpoint\"} 1.0\n");
    assertThat(CheckpointFile.read(run.checkpoints().resolve("step-00000012.safetensors")).epoch())
        .isEqualTo(3);
  }

  @Test
  void train_whenTheLastCheckpointCannotBeWritten_isRetried() throws Exception {
    RunDirectory run = create(config -> config.setEpochs(3));
    Path obstacle = run.checkpoints().resolve("step-00000012.safetensors/in the way");
    Files.createDirectories(obstacle);
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      assertThat(train(training(), record, new StopSignal()))
          .returns(Outcome.Kind.RETRY, Outcome::kind)
          .satisfies(outcome -> assertThat(outcome.reason()).contains("last checkpoint"));
      Files.delete(obstacle);
      Files.delete(run.checkpoints().resolve("step-00000012.safetensors"));

      train(record, new StopSignal());
    }

    assertThat(run.read())
        .returns(RunState.RUN_STATE_SUCCEEDED, Run::getState)
        .returns(1, Run::getPublishedCount)
        .returns(3, Run::getEpochsCompleted);
    assertThat(CheckpointFile.read(run.checkpoints().resolve("step-00000012.safetensors")).epoch())
        .isEqualTo(3);
  }

  @Test
  void train_withANewCheckpoint_isProgress_notWithTheSame() throws Exception {
    RunDirectory run = create(config -> config.setEpochs(2));
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      record.update(changed -> changed.setAttempts(2));

      train(record, new StopSignal());

      assertThat(record.run().getAttempts()).isZero();
      // As if the process had been killed in the last epoch's end, which is repeated.
      record.update(
          changed ->
              changed.setState(RunState.RUN_STATE_RUNNING).setEpochsCompleted(1).setAttempts(2));
      train(record, new StopSignal());
      assertThat(record.run())
          .returns(RunState.RUN_STATE_SUCCEEDED, Run::getState)
          .returns(2, Run::getAttempts);
    }
  }

  @Test
  void train_whenTheSampleGridCannotBeWritten_continues() throws Exception {
    RunDirectory run = create(config -> {});
    Files.createDirectories(run.samples().resolve("epoch-001.png/in the way"));

    train(run, stop -> {});

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(scrape()).contains("trainer_write_failures_total{what=\"sample_grid\"} 1.0\n");
  }

  @Test
  void train_interruptedWhereTheStateCannotBeWritten_isNoFailure() throws Exception {
    RunDirectory run = create(config -> {});
    train(run, StopSignal::interrupt);
    Path file = run.path().resolve("run.json");
    byte[] json = Files.readAllBytes(file);
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      Files.delete(file);
      Files.createDirectories(file.resolve("in the way"));
      StopSignal stop = new StopSignal();
      stop.interrupt();

      train(record, stop);

      assertThat(record.run().getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    }
    Files.delete(file.resolve("in the way"));
    Files.delete(file);
    Files.write(file, json);

    train(run, stop -> {});

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
  }

  @Test
  void train_whenItDiverges_failsWithWhatBecameNonFinite() throws Exception {
    RunDirectory run = create(config -> config.setLearningRate(1e30f));

    train(run, stop -> {});

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_FAILED);
    assertThat(run.read().getReason())
        .contains("is not finite at epoch 1", "no epoch was completed, so there is no checkpoint");
    assertThat(scrape())
        .contains(
            "trainer_warning{kind=\"non_finite\"} 1.0\n",
            "trainer_warnings_total{kind=\"non_finite\"} 1.0\n");
  }

  @Test
  void train_whenItCannotPublish_canBeContinued() throws Exception {
    Files.createDirectories(folder.resolve("models"));
    Files.writeString(folder.resolve("models/mnist28"), "a file in the way");
    RunDirectory run = create(config -> {});

    train(run, stop -> {});

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    assertThat(run.read().getReason())
        .as("what is wrong, and where")
        .isEqualTo("NotDirectoryException: " + folder.resolve("models/mnist28"));
    assertThat(names(run.checkpoints())).contains("step-00000008.safetensors");
  }

  @Test
  void train_restarted_retriesToPublishTheBest() throws Exception {
    Path inTheWay = folder.resolve("models/mnist28");
    Files.createDirectories(folder.resolve("models"));
    Files.writeString(inTheWay, "a file in the way");
    RunDirectory run = create(config -> config.setEpochs(1).setPublish("best"));
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      Outcome outcome = train(training(), record, new StopSignal());
      assertThat(outcome.kind()).isEqualTo(Outcome.Kind.RETRY);
      assertThat(outcome.deviceFailed()).isFalse();
      assertThat(outcome.reason()).contains("mnist28");
    }
    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    assertThat(run.read().getReason()).contains("mnist28");
    assertThat(run.read().getBestUnpublished()).isTrue();
    Files.delete(inTheWay);

    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      train(training(), record, new StopSignal());
    }

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(run.read().getBestUnpublished()).isFalse();
    assertThat(run.read().getReason()).isEmpty();
    assertThat(run.read().getPublishedList())
        .containsExactly(models.open("mnist28", 1).manifest().getModel());
  }

  @Test
  void train_restarted_failsOnDivergence() throws Exception {
    RunDirectory run = create(config -> config.setLearningRate(1e30f));

    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      train(training(), record, new StopSignal());
    }

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_FAILED);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 9, 18, 27, 36, 45})
  void train_outOfMemory_isContinuedToTheSameWeights(int image) throws Exception {
    // Two batches a step: the second fails within a step, the first before it.
    Consumer<RunConfig.Builder> config =
        asked -> asked.setBatchSize(8).setDiscriminatorSteps(2).setEpochs(3).setPublish("never");
    RunDirectory undisturbed = create(config);
    train(undisturbed, stop -> {});
    RunDirectory run = create(config);

    Outcome outcome = failing(run, image, "CUDA out of memory. Tried to allocate 2.00 GiB.");
    assertThat(outcome.kind()).isEqualTo(Outcome.Kind.RETRY);
    assertThat(outcome.deviceFailed()).isTrue();

    Run between = run.read();
    assertThat(between.getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    assertThat(between.getReason()).contains("CUDA out of memory", "interrupted at step ");
    assertThat(between.getDevice()).isEqualTo("cpu");
    assertThat(between.getDeviceFailure())
        .returns("out_of_memory", DeviceFailure::getKind)
        .returns(1, DeviceFailure::getAttempts);
    train(run, stop -> {});
    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    Path last = Path.of("step-00000012.safetensors");
    assertThat(run.checkpoints().resolve(last))
        .hasSameBinaryContentAs(undisturbed.checkpoints().resolve(last));
  }

  @Test
  void train_outOfMemoryBeforeAStep_writesACheckpoint() throws Exception {
    RunDirectory memory = create(config -> config.setPublish("never"));
    RunDirectory device = create(config -> config.setPublish("never"));

    failing(memory, 0, "CUDA out of memory. Tried to allocate 2.00 GiB.");
    failing(device, 0, "CUDA error: unspecified launch failure");

    // Of the second epoch: four steps an epoch.
    long step = memory.read().getDeviceFailure().getStep();
    assertThat(step).isBetween(5L, 7L);
    assertThat(names(memory.checkpoints()))
        .containsExactly("step-00000004.safetensors", "step-%08d.safetensors".formatted(step));
    assertThat(names(device.checkpoints())).containsExactly("step-00000004.safetensors");
    assertThat(device.read().getDeviceFailure().getKind()).isEqualTo("device_lost");
    assertThat(events(device).stream().filter(RunEvent::hasWarning))
        .extracting(event -> event.getWarning().getKind())
        .containsExactly("training_budget", "training_budget", "device_lost");
  }

  @Test
  void train_countsAttemptsWithoutProgress() throws Exception {
    RunDirectory run = create(config -> config.setEpochs(3).setPublish("never"));
    String lost = "CUDA error: unspecified launch failure";

    failing(run, 0, lost);
    failing(run, 0, lost, 1);
    assertThat(run.read().getDeviceFailure().getAttempts()).isEqualTo(2);
    assertThat(run.read().getReason()).contains("attempt 2");
    assertThat(scrape()).contains("trainer_device_failures{reason=\"device_lost\"} 2.0\n");
    failing(run, 0, lost, 2);

    assertThat(run.read().getDeviceFailure().getAttempts()).isEqualTo(1);
    train(run, stop -> {});
    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(scrape()).contains("trainer_device_failures{reason=\"device_lost\"} 0.0\n");
  }

  @Test
  void train_otherNativeFailureOnTheCpu_isAFault() throws Exception {
    RunDirectory run = create(config -> {});
    TrainingConfig config = TrainingConfig.of(run.read().getConfig());
    try (RunRecord record = RunRecord.open(run, InstantSource.system());
        TrainingInputs inputs =
            failing(config, 0, "mat1 and mat2 shapes cannot be multiplied", 2)) {
      training().train(record, config, inputs, new StopSignal());
    }

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_FAILED);
    assertThat(run.read().getReason()).contains("fault of this program");
  }

  @Test
  void train_outOfMemory_afterAStopRequest_isStopped() throws Exception {
    RunDirectory run = create(config -> {});
    TrainingConfig config = TrainingConfig.of(run.read().getConfig());
    StopSignal stop = new StopSignal();
    stop.stop("asked to");
    try (RunRecord record = RunRecord.open(run, InstantSource.system());
        TrainingInputs inputs = failing(config, ANY, "CUDA out of memory.", 1)) {
      Outcome outcome = training().train(record, config, inputs, stop);
      assertThat(outcome.kind()).isEqualTo(Outcome.Kind.STOPPED);
      assertThat(outcome.deviceFailed()).isTrue();
    }

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_STOPPED);
  }

  @Test
  void train_whenTheGpuWasLostBefore_waitsForTheGpu() throws Exception {
    RunDirectory run = create(config -> config.setDevice("auto"));
    TrainingSession training =
        new TrainingSession(
            models,
            folder,
            classifiers,
            metrics,
            false,
            (choice, trainedOn) -> {
              throw new NativeFailureException(
                  NativeFailureException.Kind.DEVICE_LOST, "cuda:0 worked before");
            });
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      TrainingConfig config = TrainingConfig.of(record.run().getConfig());
      assertThat(training.train(record, config, new StopSignal()).deviceFailed()).isTrue();
    }

    assertThat(run.read())
        .returns(RunState.RUN_STATE_QUEUED, Run::getState)
        .returns("cuda:0", Run::getDevice);
  }

  @Test
  void train_ofAGpuThatIsGone_isNotContinuedOnTheCpu() throws Exception {
    RunDirectory run = create(config -> config.setDevice("auto"));
    run.write(
        run.read().toBuilder()
            .setState(RunState.RUN_STATE_RUNNING)
            .setDevice("cuda:63") // Which no machine has.
            .build());
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      TrainingConfig config = TrainingConfig.of(record.run().getConfig());
      Outcome outcome = training().train(record, config, new StopSignal());
      assertThat(outcome.deviceFailed()).isTrue();
      assertThat(outcome.reason()).contains("cuda:63", "--device cpu");
    }

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    assertThat(run.read().getReason()).contains("cuda:63");
    assertThat(names(run.checkpoints())).isEmpty();
  }

  @Test
  void train_publishBest_publishesAndKeepsTheBestOnly() throws Exception {
    RunDirectory run =
        create(config -> config.setEpochs(6).setPublish("best").setKeepCheckpoints(1));

    train(run, stop -> {});

    List<Double> distances =
        events(run).stream()
            .filter(RunEvent::hasEvaluated)
            .map(event -> event.getEvaluated().getQualityOrThrow("frechet_distance"))
            .toList();
    double best = Double.POSITIVE_INFINITY;
    int improvements = 0;
    int bestEpoch = 0;
    for (int epoch = 1; epoch <= distances.size(); epoch++) {
      if (distances.get(epoch - 1) < best) {
        best = distances.get(epoch - 1);
        improvements++;
        bestEpoch = epoch;
      }
    }
    assertThat(distances).hasSize(6);
    assertThat(models.versions("mnist28")).hasSize(improvements);
    assertThat(run.read().getBestFrechetDistance()).isEqualTo(best);
    assertThat(run.read().getBestCheckpoint())
        .isEqualTo("step-%08d.safetensors".formatted(4 * bestEpoch));
    assertThat(names(run.checkpoints()))
        .contains(run.read().getBestCheckpoint(), "step-00000024.safetensors");
  }

  @Test
  void train_publishBest_retriesAtTheEnd() throws Exception {
    RunDirectory run = create(config -> config.setEpochs(6).setPublish("best"));
    train(run, stop -> {});
    ModelManifest published = models.open("mnist28", models.versions("mnist28").get(0)).manifest();
    // As where its epoch is completed, but it could not be published then, and the run went on.
    Files.move(folder.resolve("models"), folder.resolve("others"));
    run.write(
        run.read().toBuilder()
            .setState(RunState.RUN_STATE_RUNNING)
            .clearPublished()
            .setBestUnpublished(true)
            .build());
    train(run, stop -> {});

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    ModelManifest late = models.open("mnist28", 1).manifest();
    assertThat(run.read().getPublishedList()).containsExactly(late.getModel());
    assertThat(late.getModel().getSha256()).isEqualTo(published.getModel().getSha256());
    assertThat(late.getQualityMap()).isEqualTo(published.getQualityMap());
    assertThat(run.read().getBestUnpublished()).isFalse();
  }

  @Test
  void train_publishBest_doesNotRepublishRemovedVersions() throws Exception {
    RunDirectory run = create(config -> config.setEpochs(1).setPublish("best"));
    train(run, stop -> {});
    Files.move(folder.resolve("models"), folder.resolve("others"));
    run.write(run.read().toBuilder().setState(RunState.RUN_STATE_RUNNING).build());
    train(run, stop -> {});

    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(models.models()).isEmpty();
  }

  @Test
  void train_publishEvery_andNever() throws Exception {
    train(create(config -> config.setEpochs(3).setPublish("every 2")), stop -> {});
    train(create(config -> config.setPublish("never").setModel("never")), stop -> {});

    assertThat(models.versions("mnist28")).containsExactly(2L, 1L);
    assertThat(models.open("mnist28", 1).manifest().getOrigin().getEpochs()).isEqualTo(2);
    assertThat(models.open("mnist28", 2).manifest().getOrigin().getEpochs()).isEqualTo(3);
    assertThat(models.models()).containsExactly("mnist28");
  }

  @Test
  void train_unrecordedPublication_isFoundAgain() throws Exception {
    RunDirectory run = create(config -> {});
    train(run, stop -> {});
    Run done = run.read();
    run.write(
        done.toBuilder()
            .setState(RunState.RUN_STATE_RUNNING)
            .setEpochsCompleted(1)
            .clearPublished()
            .build());
    train(create(config -> config.setSeed(2)), stop -> {});
    assertThat(models.versions("mnist28")).containsExactly(2L, 1L);

    train(run, stop -> {});

    assertThat(models.versions("mnist28")).containsExactly(2L, 1L);
    assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(run.read().getPublishedList()).isEqualTo(done.getPublishedList());
  }

  @Test
  void publish_ofAnOlderCheckpoint_isTheNewestOnce() throws Exception {
    RunDirectory run = create(config -> config.setPublish("every 1"));
    train(run, stop -> {});
    assertThat(models.versions("mnist28")).containsExactly(2L, 1L);
    CheckpointPublisher publisher = new CheckpointPublisher(models, () -> {});
    Path first = run.checkpoints().resolve("step-00000004.safetensors");

    publisher.publish(first, "");
    publisher.publish(first, "");

    assertThat(models.versions("mnist28")).containsExactly(3L, 2L, 1L);
    assertThat(models.open("mnist28", 3).readModel())
        .isEqualTo(models.open("mnist28", 1).readModel());
    assertThat(models.open("mnist28", 3).manifest().getQualityMap())
        .as("the quality is the checkpoint's")
        .isEqualTo(models.open("mnist28", 1).manifest().getQualityMap());
    assertThat(run.read().getPublishedList())
        .as("recorded in the run, once")
        .extracting(ModelVersion::getVersion)
        .containsExactly(1L, 2L, 3L);
  }

  @Test
  void prepare_whenTheImagesDoNotFit_saysSo() {
    assertThatIOException()
        .isThrownBy(
            () ->
                training()
                    .prepare(
                        TrainingConfig.of(config().setImages(10).setBatchSize(16).build()),
                        "",
                        new StopSignal()))
        .withMessageContaining("digits: it has 10 images");
  }

  /** Neither another attempt nor room on the disk makes them fit. */
  @Test
  void train_whenTheImagesDoNotFit_fails_atOnce() throws Exception {
    RunDirectory run = create(config -> config.setImages(10));
    Outcome outcome;
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      TrainingConfig config = TrainingConfig.of(record.run().getConfig());
      outcome = training().train(record, config, new StopSignal());
    }

    assertThat(outcome.kind()).isEqualTo(Outcome.Kind.FAILED);
    assertThat(run.read())
        .returns(RunState.RUN_STATE_FAILED, Run::getState)
        .satisfies(
            failed ->
                assertThat(failed.getReason()).contains("10 images", "at least 16", "smaller"));
  }

  @Test
  void prepare_whenTheMemoryCannotHoldIt_saysHowMuchItNeeds() {
    // 2.6 TiB of activations.
    RunConfig config =
        RunConfig.newBuilder()
            .setPreset("paper64")
            .setSize(128)
            .setWidth(512)
            .setBatchSize(65_536)
            .setData("nowhere")
            .setDevice("cpu")
            .build();

    assertThatIOException()
        .isThrownBy(() -> training().prepare(TrainingConfig.of(config), "", new StopSignal()))
        .withMessageContaining("cannot train paper128")
        .withMessageContaining("GiB for parameters")
        .withMessageContaining("--batch-size");
  }

  @Test
  void prepare_whenTheFeaturesAreNoModel_saysSo() throws Exception {
    Path file = Files.writeString(folder.resolve("features.onnx"), "no model");

    assertThatIOException()
        .isThrownBy(
            () ->
                training()
                    .prepare(
                        TrainingConfig.of(config().setFeatures(file.toString()).build()),
                        "",
                        new StopSignal()))
        .withMessageContaining(file + ": ");
  }

  @Test
  @Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void prepare_withFeaturesThatTakeHours_endsWhenTheRunIsStopped() throws Exception {
    Path file = folder.resolve("features.onnx");
    Files.write(file, OnnxFeaturesTest.endless().build().toByteArray());
    TrainingConfig config = TrainingConfig.of(config().setFeatures(file.toString()).build());
    StopSignal stop = new StopSignal();
    FutureTask<TrainingInputs> preparing =
        new FutureTask<>(() -> training().prepare(config, "", stop));
    new Thread(preparing).start();
    while (Thread.getAllStackTraces().values().stream()
        .flatMap(Stream::of)
        .noneMatch(frame -> frame.getClassName().equals("ai.onnxruntime.OrtSession"))) {
      Thread.onSpinWait();
    }

    stop.stop("enough");

    assertThatExceptionOfType(ExecutionException.class)
        .isThrownBy(preparing::get)
        .withCauseInstanceOf(InterruptedIOException.class);
  }

  private RunDirectory create(Consumer<RunConfig.Builder> change) throws Exception {
    RunConfig.Builder config = config();
    change.accept(config);
    return store.create(
        Run.newBuilder().setConfig(TrainingConfig.of(config.build()).config()).build());
  }

  private static RunConfig.Builder config() {
    return RunConfig.newBuilder()
        .setImages(64)
        .setEpochs(2)
        .setBatchSize(16)
        .setWidth(4)
        .setLatent(8)
        .setDevice("cpu")
        .setEvaluationImages(100);
  }

  private void train(RunDirectory run, Consumer<StopSignal> request) throws Exception {
    StopSignal stop = new StopSignal();
    request.accept(stop);
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      train(record, stop);
    }
  }

  /** With the images read, so that the request counts from the first step on. */
  private void train(RunRecord record, StopSignal stop) throws Exception {
    train(training(), record, stop);
  }

  private static Outcome train(TrainingSession training, RunRecord record, StopSignal stop)
      throws Exception {
    TrainingConfig config = TrainingConfig.of(record.run().getConfig());
    try (TrainingInputs inputs =
        training.prepare(config, record.run().getDevice(), new StopSignal())) {
      return training.train(record, config, inputs, stop);
    }
  }

  /** Trains a run as the command line changes it. */
  private Outcome trainAs(RunDirectory run, Consumer<RunConfig.Builder> change) throws Exception {
    RunConfig.Builder config = run.read().getConfig().toBuilder();
    change.accept(config);
    TrainingConfig changed = TrainingConfig.of(config.build());
    try (RunRecord record = RunRecord.open(run, InstantSource.system());
        TrainingInputs inputs = training().prepare(changed, "", new StopSignal())) {
      return training().train(record, changed, inputs, new StopSignal());
    }
  }

  private Outcome failing(RunDirectory run, int image, String message) throws Exception {
    return failing(run, image, message, 2);
  }

  /** Trains until PyTorch fails, when an image is read the given time. */
  private Outcome failing(RunDirectory run, int image, String message, int time) throws Exception {
    TrainingConfig config = TrainingConfig.of(run.read().getConfig());
    try (RunRecord record = RunRecord.open(run, InstantSource.system());
        TrainingInputs inputs = failing(config, image, message, time)) {
      return training().train(record, config, inputs, new StopSignal());
    }
  }

  private static TrainingInputs failing(TrainingConfig config, int image, String message, int time)
      throws IOException {
    return new TrainingInputs(TrainingDevice.select("cpu"), images(config, image, message, time));
  }

  /** The images of a run; PyTorch fails when one of them is read the given time. */
  private static DatasetSplit images(TrainingConfig config, int image, String message, int time)
      throws IOException {
    DatasetSplit images =
        TrainingInputs.openImages(
            config.config(), config.architecture().shape(), Path.of(""), Path.of(""), () -> {});
    ImageDataset training = images.training();
    AtomicInteger reads = new AtomicInteger();
    ImageDataset watched =
        new ImageDataset() {
          @Override
          public String name() {
            return training.name();
          }

          @Override
          public ImageShape shape() {
            return training.shape();
          }

          @Override
          public int size() {
            return training.size();
          }

          @Override
          public int classes() {
            return training.classes();
          }

          @Override
          public int label(int index) {
            return training.label(index);
          }

          @Override
          public void copyPixels(int index, byte[] target, int offset) throws IOException {
            training.copyPixels(index, target, offset);
          }

          @Override
          public void copyNormalized(int index, float[] target, int offset) throws IOException {
            if (image == ANY || (index == image && reads.incrementAndGet() == time)) {
              throw new EngineException(message);
            }
            training.copyNormalized(index, target, offset);
          }

          @Override
          public String sha256() throws IOException {
            return training.sha256();
          }
        };
    return new DatasetSplit(watched, images.heldOut(), images.disjoint());
  }

  private TrainingSession training() {
    return new TrainingSession(models, folder, classifiers, metrics, false);
  }

  private static List<RunEvent> events(RunDirectory run) throws IOException {
    try (RunRecord record = RunRecord.open(run, InstantSource.system())) {
      return record.events(0, 1000).list();
    }
  }

  private static Map<String, Double> quality(RunDirectory run, int step) throws IOException {
    Path file = run.checkpoints().resolve("step-%08d.safetensors".formatted(step));
    return CheckpointFile.read(file).quality();
  }

  private String scrape() {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    try {
      PrometheusTextFormatWriter.builder().build().write(text, registry.scrape());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return text.toString(StandardCharsets.UTF_8);
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
