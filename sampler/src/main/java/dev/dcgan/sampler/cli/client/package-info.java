/** Commands that call a running sampler. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.cli.client;
