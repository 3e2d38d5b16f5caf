/** The command line of the sampler: one class per command, and the options that they share. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.cli;
