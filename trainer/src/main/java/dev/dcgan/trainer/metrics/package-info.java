/** The Prometheus metrics of training and of the disks that the trainer writes to. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.metrics;
