/** Puts the parts of the server together and measures them. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.server;
