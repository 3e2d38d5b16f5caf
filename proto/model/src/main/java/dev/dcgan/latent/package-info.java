/** The latent law: how a seed and an index become the generator's input. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.latent;
