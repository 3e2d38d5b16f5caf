package dev.dcgan.sampler.scheduling;

/**
 * Images as the network made them, one after the other.
 *
 * @param bytes count images of equal size, each in the form that {@code output} says; not to be
 *     changed
 */
@SuppressWarnings("ArrayRecordComponent") // Passed from hand to hand, never compared.
public record Images(Output output, int count, byte[] bytes) {}
