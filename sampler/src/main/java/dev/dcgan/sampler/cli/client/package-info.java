/** Commands that call a running sampler, and the load generator. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.cli.client;
