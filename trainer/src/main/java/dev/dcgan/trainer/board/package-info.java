/** What TensorBoard shows of a run. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.board;
