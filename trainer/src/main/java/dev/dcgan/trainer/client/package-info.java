/** The command line's clients of a running service. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.client;
