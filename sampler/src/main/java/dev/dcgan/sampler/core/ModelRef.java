package dev.dcgan.sampler.core;

/**
 * Which model a request names.
 *
 * @param name empty: the only one that is served
 * @param version 0: the one that new requests get
 */
public record ModelRef(String name, long version) {}
