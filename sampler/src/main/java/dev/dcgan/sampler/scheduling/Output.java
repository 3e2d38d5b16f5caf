package dev.dcgan.sampler.scheduling;

/** One of the network's outputs. */
public enum Output {
  /** uint8, HWC. */
  PIXELS,
  /** Little-endian float32 in [-1, 1], CHW. */
  FLOATS
}
