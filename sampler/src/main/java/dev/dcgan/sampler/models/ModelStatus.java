package dev.dcgan.sampler.models;

import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.v1.ModelManifest;
import java.util.List;

/**
 * A version, and what is known of its model.
 *
 * @param unverified served without a manifest
 * @param serving the version that is in service
 * @param pinned 0: none
 * @param available the valid versions in the repository, newest first, as last seen
 */
public record ModelStatus(
    ModelManifest manifest,
    boolean unverified,
    Provider provider,
    long serving,
    long pinned,
    List<Long> available) {}
