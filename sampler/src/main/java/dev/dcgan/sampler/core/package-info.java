/** From a request to a response with images, independent of the protocol. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.core;
