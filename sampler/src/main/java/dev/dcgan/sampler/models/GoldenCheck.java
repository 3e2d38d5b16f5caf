package dev.dcgan.sampler.models;

import com.google.protobuf.ByteString;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.v1.GoldenVector;
import java.util.ArrayList;
import java.util.List;

/** Verifies a network by the golden vectors of its manifest: latents with their expected images. */
final class GoldenCheck {

  // The guarantee between kinds of processor; a manifest that allows more would verify nothing.
  private static final int MAX_TOLERANCE = 1;

  private GoldenCheck() {}

  /**
   * Runs every golden vector in batches of one size, and in the smallest batches that are padded to
   * it. The vectors repeat to fill the batch, and every image is compared.
   *
   * @param batch images per run
   * @throws InvalidModelException an image differs by more than the manifest's tolerance, or the
   *     tolerance is more than one grey level
   */
  static void verify(ModelBundle bundle, Network network, int batch) throws InvalidModelException {
    int tolerance = bundle.manifest().getPixelTolerance();
    if (Integer.compareUnsigned(tolerance, MAX_TOLERANCE) > 0) {
      throw new InvalidModelException(
          "cannot verify %s: its manifest allows images to differ by %s grey levels; expected at most %d: publish it again"
              .formatted(bundle.folder(), Integer.toUnsignedString(tolerance), MAX_TOLERANCE));
    }
    verifyRuns(bundle, network, batch);
    int smallest = batch;
    while (smallest > 1 && network.padded(smallest - 1) == batch) {
      smallest--;
    }
    if (smallest < batch) {
      verifyRuns(bundle, network, smallest);
    }
  }

  /** Runs as many batches of n images as hold every golden vector. */
  private static void verifyRuns(ModelBundle bundle, Network network, int n)
      throws InvalidModelException {
    List<GoldenVector> golden = bundle.manifest().getGoldenList();
    for (int first = 0; first < golden.size(); first += n) {
      List<GoldenVector> rows = new ArrayList<>(n);
      for (int i = 0; i < n; i++) {
        rows.add(golden.get((first + i) % golden.size()));
      }
      verifyRun(bundle, network, rows);
    }
  }

  private static void verifyRun(ModelBundle bundle, Network network, List<GoldenVector> rows)
      throws InvalidModelException {
    int latentSize = network.latentSize();
    float[] z = new float[rows.size() * latentSize];
    long[] labels =
        bundle.classes().isPresent()
            ? rows.stream().mapToLong(GoldenVector::getLabel).toArray()
            : Network.NO_LABELS;
    for (int i = 0; i < rows.size(); i++) {
      GoldenVector golden = rows.get(i);
      Latents.fill(golden.getSeed(), golden.getIndex(), z, i * latentSize, latentSize);
    }
    byte[] images = network.generate(z, labels, Output.PIXELS).bytes();
    int tolerance = bundle.manifest().getPixelTolerance();
    for (int i = 0; i < rows.size(); i++) {
      GoldenVector golden = rows.get(i);
      int difference = difference(golden.getPixels(), images, i);
      if (difference > tolerance) {
        throw new InvalidModelException(
            "cannot verify %s: image (seed %s, index %s) differs by %d grey levels%s; expected at most %d"
                .formatted(
                    bundle.folder(),
                    Long.toUnsignedString(golden.getSeed()),
                    Long.toUnsignedString(golden.getIndex()),
                    difference,
                    rows.size() == 1
                        ? ""
                        : " as image %d of %d in a batch".formatted(i + 1, rows.size()),
                    tolerance));
      }
    }
  }

  /** The largest difference of the image in one row from the expected one, in grey levels. */
  private static int difference(ByteString expected, byte[] images, int row) {
    int largest = 0;
    int begin = row * expected.size();
    for (int i = 0; i < expected.size(); i++) {
      largest =
          Math.max(largest, Math.abs((expected.byteAt(i) & 0xFF) - (images[begin + i] & 0xFF)));
    }
    return largest;
  }
}
