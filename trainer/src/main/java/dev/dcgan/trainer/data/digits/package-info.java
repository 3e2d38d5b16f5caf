/** Draws handwritten-looking digits, for training without a dataset. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.data.digits;
