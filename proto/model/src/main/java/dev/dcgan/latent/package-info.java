/** The latent sampling scheme, which maps a seed and an index to the generator's input. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.latent;
