/** Pictures to train on, decoded and checked, whatever form they come in. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.data;
