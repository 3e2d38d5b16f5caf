/** The model bundle on disk: what the trainer publishes and the sampler verifies and serves. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.model;
