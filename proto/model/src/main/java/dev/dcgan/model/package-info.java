/** The model repository on disk: the trainer publishes to it; the sampler verifies and serves. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.model;
