package dev.dcgan.sampler.models;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import java.time.Duration;
import java.util.List;

/**
 * Which models a {@link ModelWatcher} serves, and how.
 *
 * @param names the models; empty: all in the repository
 * @param poll the interval between two looks at the repository
 * @param keepVersions versions of each model in memory, 1 or more
 * @param onDemandBytes that versions loaded on demand may take together
 * @param copies of a version's weights in memory
 * @param allowPin whether callers may pin a version
 * @param allowUnverified whether versions without a manifest are served
 * @param loadTimeout after which a version that is being loaded counts as failed; zero: none
 * @param activationBytes that the values of one run may take, for versions without a manifest
 */
public record ModelWatcherConfig(
    ModelRepository repository,
    List<String> names,
    Duration poll,
    int keepVersions,
    long onDemandBytes,
    int copies,
    boolean allowPin,
    boolean allowUnverified,
    Duration loadTimeout,
    long activationBytes) {

  private static final Duration DEFAULT_LOAD_TIMEOUT = Duration.ofMinutes(5);

  /** With the default limits of loading. */
  public ModelWatcherConfig(
      ModelRepository repository,
      List<String> names,
      Duration poll,
      int keepVersions,
      long onDemandBytes,
      int copies,
      boolean allowPin,
      boolean allowUnverified) {
    this(
        repository,
        names,
        poll,
        keepVersions,
        onDemandBytes,
        copies,
        allowPin,
        allowUnverified,
        DEFAULT_LOAD_TIMEOUT,
        RuntimeSettings.DEFAULT_ACTIVATION_BYTES);
  }

  public ModelWatcherConfig {
    names = List.copyOf(names);
    if (keepVersions < 1) {
      throw new IllegalArgumentException(
          "cannot keep %d versions in memory: expected 1 or more".formatted(keepVersions));
    }
  }
}
