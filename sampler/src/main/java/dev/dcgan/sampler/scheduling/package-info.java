/** Joins images of many requests into batches. Knows neither a protocol nor ONNX Runtime. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.scheduling;
