/** Measures the quality of a generator. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.eval;
