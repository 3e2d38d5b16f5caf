/** The model versions that are served: loaded, verified, swapped and evicted. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.models;
