package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;

/**
 * A step's metrics on the device.
 *
 * @param step the step's number over the whole run, from 1
 * @param images the number of real images in the step's batches
 * @param values (6): the losses of D and G, D(x), D(G(z)), the gradient norms of D and G; the owner
 *     of this record closes it
 */
record StepMetrics(long step, int images, NDArray values) {}
