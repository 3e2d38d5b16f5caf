/** Training images: opening a dataset, preparing it, and reading it in batches. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.data;
