/** One training run from its start, or its newest checkpoint, to its outcome. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.session;
