/** The generator and the discriminator. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.gan;
