/** The trainer's program: command line, runs, publication, metrics. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer;
