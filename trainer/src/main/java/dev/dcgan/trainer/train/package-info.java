/** The training recipe: losses, optimiser, loop, checkpoints, sample sheets. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.train;
