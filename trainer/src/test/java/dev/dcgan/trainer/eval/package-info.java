@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.eval;
