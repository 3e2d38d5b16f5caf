package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;

/**
 * A step's figures, still on the device.
 *
 * @param step counted from 1 over the whole run
 * @param images pictures that the step took
 * @param figures (6): the losses of D and G, D(x), D(G(z)), the norms of D's and G's gradients; the
 *     owner's to close
 */
record StepMetrics(long step, int images, NDArray figures) {}
