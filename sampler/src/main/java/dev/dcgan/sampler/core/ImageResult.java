package dev.dcgan.sampler.core;

import dev.dcgan.sampler.models.ServedVersion;

/**
 * A response with images.
 *
 * @param format the label of the metrics
 * @param count images in it
 */
public record ImageResult<T>(T response, ServedVersion version, String format, int count) {}
