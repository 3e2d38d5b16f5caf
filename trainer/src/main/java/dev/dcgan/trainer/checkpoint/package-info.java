/** Checkpoints: their content, their file format and which of them are kept. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.checkpoint;
