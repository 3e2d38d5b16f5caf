/** How good a generator is: figures of its images against pictures that it has not seen. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.eval;
