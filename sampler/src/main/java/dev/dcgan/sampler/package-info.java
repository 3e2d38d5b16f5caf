/** The sampler: a trained generator as a gRPC service. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler;
