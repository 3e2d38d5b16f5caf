/** The program {@code sampler}. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler;
