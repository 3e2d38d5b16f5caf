package dev.dcgan.trainer.cli.client;

import dev.dcgan.trainer.run.ProgressEstimator;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Progress;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import dev.dcgan.v1.StepMetrics;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Formats runs and events as text. */
final class RunLines {

  private static final String FRECHET = "frechet_distance";
  private static final List<String> HEAD =
      List.of("RUN", "STATE", "EPOCH", "STEP", "IMAGES/S", "LEFT", "FRECHET", "REASON");

  private RunLines() {}

  /** A table of runs. */
  static List<String> table(List<Run> runs) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(HEAD);
    runs.forEach(run -> rows.add(row(run)));
    int[] widths = new int[HEAD.size()];
    for (List<String> row : rows) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], row.get(i).length());
      }
    }
    return rows.stream().map(row -> line(row, widths)).toList();
  }

  /** An event as a line; steps, checkpoints and sample grids have none. */
  static Optional<String> line(RunEvent event, int epochs) {
    String line =
        switch (event.getEventCase()) {
          case STATE_CHANGED -> state(event.getStateChanged());
          case EPOCH_COMPLETED -> epoch(event.getEpochCompleted(), epochs);
          case EVALUATED -> evaluated(event.getEvaluated(), epochs);
          case WARNING -> warned(event.getWarning());
          case MODEL_PUBLISHED -> published(event.getModelPublished(), epochs);
          case RESUMED ->
              "resuming from step %d, epoch %d/%d"
                  .formatted(event.getResumed().getStep(), event.getResumed().getEpoch(), epochs);
          case STEP, CHECKPOINT_SAVED, SAMPLES_SAVED, EVENT_NOT_SET -> "";
        };
    return line.isEmpty() ? Optional.empty() : Optional.of(line);
  }

  /** {@code SUCCEEDED}. */
  static String name(RunState state) {
    return state.name().replaceFirst("RUN_STATE_", "");
  }

  /** The state after a request to stop: an active run goes on to the end of its step. */
  static String stopping(Run run) {
    return run.getState() == RunState.RUN_STATE_RUNNING ? "STOPPING" : name(run.getState());
  }

  private static List<String> row(Run run) {
    Progress progress = run.getProgress();
    boolean running = run.getState() == RunState.RUN_STATE_RUNNING && !run.getInterrupted();
    boolean hasSpeed = running && progress.getImagesPerSecond() > 0;
    return List.of(
        run.getId(),
        run.getInterrupted() ? "INTERRUPTED" : name(run.getState()),
        progress.getEpoch() + "/" + run.getConfig().getEpochs(),
        Long.toString(progress.getStep()),
        hasSpeed ? Long.toString(Math.round(progress.getImagesPerSecond())) : "-",
        hasSpeed ? ProgressEstimator.text(progress.getSecondsLeft()) : "-",
        run.containsQuality(FRECHET) ? "%.2f".formatted(run.getQualityOrThrow(FRECHET)) : "-",
        run.getReason());
  }

  /** Aligns text to the left and numbers to the right. */
  private static String line(List<String> row, int[] widths) {
    StringBuilder line = new StringBuilder();
    for (int i = 0; i < widths.length; i++) {
      boolean name = i < 2 || i == widths.length - 1;
      line.append(("%" + (name ? "-" : "") + Math.max(1, widths[i]) + "s  ").formatted(row.get(i)));
    }
    return line.toString().stripTrailing();
  }

  private static String state(RunEvent.StateChanged changed) {
    String reason = changed.getReason();
    return name(changed.getState()) + (reason.isEmpty() ? "" : ": " + reason);
  }

  private static String epoch(RunEvent.EpochCompleted done, int epochs) {
    StepMetrics figures = done.getMetrics();
    return "epoch %d/%d: loss D %.3f, G %.3f, D(x) %.3f, D(G(z)) %.3f, %d images/s, %s left"
        .formatted(
            figures.getEpoch(),
            epochs,
            figures.getDiscriminatorLoss(),
            figures.getGeneratorLoss(),
            figures.getRealScore(),
            figures.getFakeScore(),
            Math.round(figures.getImagesPerSecond()),
            ProgressEstimator.text(done.getSecondsLeft()));
  }

  private static String evaluated(RunEvent.Evaluated evaluated, int epochs) {
    StringBuilder line =
        new StringBuilder("epoch %d/%d: quality".formatted(evaluated.getEpoch(), epochs));
    String separator = " ";
    for (String figure :
        List.of(FRECHET, "precision", "recall", "modes_covered", "label_accuracy")) {
      if (evaluated.containsQuality(figure)) {
        line.append(separator)
            .append(figure.replace('_', ' '))
            .append(" %.2f".formatted(evaluated.getQualityOrThrow(figure)))
            .append(figure.equals(FRECHET) ? " (not Inception FID)" : "");
        separator = ", ";
      }
    }
    if (evaluated.getQualityOrDefault("reliable", 1) == 0) {
      line.append("; not reliable: few images or a classifier near chance");
    }
    return line.toString();
  }

  private static String warned(RunEvent.Warning warned) {
    return "%s at step %d: %s"
        .formatted(
            warned.getCleared() ? "resolved" : "warning", warned.getStep(), warned.getMessage());
  }

  private static String published(RunEvent.ModelPublished published, int epochs) {
    ModelVersion model = published.getModel();
    return "epoch %d/%d: published %s/%d"
        .formatted(published.getEpoch(), epochs, model.getName(), model.getVersion());
  }
}
