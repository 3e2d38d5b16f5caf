/** The command line of the sampler: one class per command, and the options that commands share. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.cli;
