/** From a version on disk to a network that serves, and from one version to the next. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.sampler.model;
