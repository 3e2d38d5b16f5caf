package dev.dcgan.sampler.models;

import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.v1.ModelManifest;
import java.util.List;

/**
 * The status of a version and of its model.
 *
 * @param unverified whether it has no manifest on disk
 * @param serving the version in service
 * @param pinned the pinned version; 0: none
 * @param available the valid versions in the repository, newest first, at the last look
 */
public record ModelStatus(
    ModelManifest manifest,
    boolean unverified,
    Provider provider,
    long serving,
    long pinned,
    List<Long> available) {}
