/** The command line client. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.client;
