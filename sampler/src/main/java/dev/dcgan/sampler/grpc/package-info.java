/** The gRPC adapters: SamplerService and the Open Inference Protocol. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.grpc;
