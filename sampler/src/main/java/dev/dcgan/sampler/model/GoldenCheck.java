package dev.dcgan.sampler.model;

import com.google.protobuf.ByteString;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.batch.Network;
import dev.dcgan.sampler.batch.Output;
import dev.dcgan.v1.GoldenVector;

/** Whether a network gives, here and now, the images that its manifest promises. */
final class GoldenCheck {

  // What the wire promises between kinds of processor. A manifest that allows more checks nothing.
  private static final int LARGEST_TOLERANCE = 1;

  private GoldenCheck() {}

  /**
   * Runs every golden vector.
   *
   * @throws InvalidModelException an image differs by more than the manifest's tolerance, or that
   *     is more than one grey level
   */
  static void verify(ModelBundle bundle, Network network) throws InvalidModelException {
    int tolerance = bundle.manifest().getPixelTolerance();
    if (Integer.compareUnsigned(tolerance, LARGEST_TOLERANCE) > 0) {
      throw new InvalidModelException(
          "%s allows its images to be %s grey levels off; expected at most %d: publish it again"
              .formatted(bundle.folder(), Integer.toUnsignedString(tolerance), LARGEST_TOLERANCE));
    }
    for (GoldenVector golden : bundle.manifest().getGoldenList()) {
      float[] z = Latents.of(golden.getSeed(), golden.getIndex(), network.latentSize());
      int difference = difference(golden.getPixels(), network.generate(z, Output.PIXELS).bytes());
      if (difference > tolerance) {
        throw new InvalidModelException(
            "%s: image (seed %s, index %s) is %d grey levels off; its manifest allows %d"
                .formatted(
                    bundle.folder(),
                    Long.toUnsignedString(golden.getSeed()),
                    Long.toUnsignedString(golden.getIndex()),
                    difference,
                    tolerance));
      }
    }
  }

  private static int difference(ByteString expected, byte[] found) {
    int largest = 0;
    for (int i = 0; i < found.length; i++) {
      largest = Math.max(largest, Math.abs((expected.byteAt(i) & 0xFF) - (found[i] & 0xFF)));
    }
    return largest;
  }
}
