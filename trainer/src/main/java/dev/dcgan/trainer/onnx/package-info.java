/**
 * The trained generator as a standard ONNX model, and the proof that it still is that generator.
 */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.onnx;
