/** Joins many callers' images into batches: knows no gRPC, no ONNX and no metrics library. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.batch;
