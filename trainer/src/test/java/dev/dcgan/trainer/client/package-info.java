/** Tests of the command line's clients. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.client;
