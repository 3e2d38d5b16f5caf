/** Publishes the generator of a checkpoint as a version of a model. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.publish;
