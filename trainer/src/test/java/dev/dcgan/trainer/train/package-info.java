/** Tests of the training recipe. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.train;
