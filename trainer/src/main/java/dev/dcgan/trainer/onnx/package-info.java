/** Exports generators as ONNX models, and checks the exported models. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.onnx;
