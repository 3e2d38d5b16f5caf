/** Bulk export of the images of one seed into tar files, by any number of machines. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.export;
