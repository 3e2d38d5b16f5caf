/** Tests of the trainer's program. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer;
