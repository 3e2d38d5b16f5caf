/** The command line of the trainer: one class per command, and the options that commands share. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.cli;
