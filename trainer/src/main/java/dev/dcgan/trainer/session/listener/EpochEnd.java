package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.eval.QualityReport;
import dev.dcgan.trainer.eval.QualityWarnings;
import dev.dcgan.trainer.train.TrainingListener.Snapshot;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The end of an epoch, as far as the listeners have got with it.
 *
 * @param epoch epochs completed
 * @param snapshot the networks now
 * @param checkpoint of the networks, with their quality metrics once they were evaluated
 * @param file the checkpoint's file; empty if it could not be written
 * @param diversity of the sample grid, relative to real images
 * @param quality empty if the generator was not evaluated
 * @param isBest whether the quality is the best so far
 * @param isComplete whether everything was done; false if the model could not be published
 */
record EpochEnd(
    int epoch,
    Snapshot snapshot,
    Checkpoint checkpoint,
    Optional<Path> file,
    double diversity,
    Optional<QualityReport> quality,
    boolean isBest,
    boolean isComplete) {

  EpochEnd(int epoch, Snapshot snapshot, Checkpoint checkpoint) {
    this(epoch, snapshot, checkpoint, Optional.empty(), Double.NaN, Optional.empty(), false, true);
  }

  long step() {
    return checkpoint.step();
  }

  EpochEnd withFile(Optional<Path> written) {
    return new EpochEnd(
        epoch, snapshot, checkpoint, written, diversity, quality, isBest, isComplete);
  }

  EpochEnd withDiversity(double measured) {
    return new EpochEnd(
        epoch,
        snapshot,
        // A collapse is a warning in the manifest of the published model.
        Double.isFinite(measured)
            ? checkpoint.withQuality(Map.of(QualityWarnings.DIVERSITY, measured))
            : checkpoint,
        file,
        measured,
        quality,
        isBest,
        isComplete);
  }

  EpochEnd withQuality(QualityReport report) {
    Map<String, Double> metrics = new LinkedHashMap<>(report.metrics());
    metrics.putAll(checkpoint.quality());
    return new EpochEnd(
        epoch,
        snapshot,
        checkpoint.withQuality(metrics),
        file,
        diversity,
        Optional.of(report),
        isBest,
        isComplete);
  }

  EpochEnd best() {
    return new EpochEnd(epoch, snapshot, checkpoint, file, diversity, quality, true, isComplete);
  }

  EpochEnd incomplete() {
    return new EpochEnd(epoch, snapshot, checkpoint, file, diversity, quality, isBest, false);
  }
}
