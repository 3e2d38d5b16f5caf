/** What the tests see of the sampler's own names. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler;
