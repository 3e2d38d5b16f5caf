package dev.dcgan.sampler.scheduling;

/** Which of the network's outputs a caller wants. */
public enum Output {
  /** uint8, HWC. */
  PIXELS,
  /** Little-endian float32 in [-1, 1], CHW. */
  FLOATS
}
