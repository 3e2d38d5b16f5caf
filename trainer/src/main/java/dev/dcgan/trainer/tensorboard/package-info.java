/** Writes event files for TensorBoard. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.tensorboard;
