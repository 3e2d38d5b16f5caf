package dev.dcgan.sampler.core;

/** Notified of each response with images that was sent. Thread-safe. */
@FunctionalInterface
public interface ImageListener {
  void sent(ImageResult<?> result);
}
