/** Images of one seed in bulk, into tar files, by any number of machines. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.export;
