/** The program {@code trainer}. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer;
