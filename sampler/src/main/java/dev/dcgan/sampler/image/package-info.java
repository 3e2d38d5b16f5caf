/** Encodings of images: PNG, contact sheets, and channel orders. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.image;
