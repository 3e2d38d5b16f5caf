/** Dynamic batching of the images of concurrent requests; knows no protocol and no ONNX Runtime. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.scheduling;
