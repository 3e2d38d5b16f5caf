/** Tests of what TensorBoard reads. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.board;
