/** Checks the graphs of ONNX models before ONNX Runtime opens them; knows no runtime. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.graph;
