/** The model versions that are served, and how newer ones take over. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.models;
