package dev.dcgan.trainer.data.source;

/**
 * An image file of a dataset.
 *
 * @param name in the tree
 * @param label from 0; -1 without one
 */
record ImageFile(String name, int label) {}
