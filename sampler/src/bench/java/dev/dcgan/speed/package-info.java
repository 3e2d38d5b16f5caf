/** Compares the sampler with a bare inference loop and a plain service; run by {@code -Pspeed}. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.speed;
