/** Images over HTTP. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.http;
