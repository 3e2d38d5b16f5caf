package dev.dcgan.sampler.scheduling;

/**
 * Images as the network made them.
 *
 * @param bytes {@code count} images of equal size in a row, in the form of {@code output}; must not
 *     be changed
 */
@SuppressWarnings("ArrayRecordComponent") // Never compared.
public record Images(Output output, int count, byte[] bytes) {}
