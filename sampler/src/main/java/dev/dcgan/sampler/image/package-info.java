/** The forms in which images leave the house. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.image;
