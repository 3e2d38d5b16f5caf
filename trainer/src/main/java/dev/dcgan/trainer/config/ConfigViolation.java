package dev.dcgan.trainer.config;

/**
 * What is wrong with one field of a config.
 *
 * @param field as the wire names it, {@code batch_size}
 * @param description what was found, and what was expected
 */
public record ConfigViolation(String field, String description) {}
