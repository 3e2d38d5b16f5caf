/** The training loop: losses, optimizer, averaged weights, monitoring. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.train;
