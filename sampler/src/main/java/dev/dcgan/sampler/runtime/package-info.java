/** Generators in ONNX Runtime, in the only code that calls it. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.runtime;
