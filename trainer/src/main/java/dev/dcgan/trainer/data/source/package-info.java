/** Finds images in folders, archives, IDX files and CIFAR batches. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.data.source;
