/** Runs generators in ONNX Runtime; the only code that calls it. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.runtime;
