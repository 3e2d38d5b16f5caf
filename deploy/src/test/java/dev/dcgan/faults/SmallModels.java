package dev.dcgan.faults;

import com.google.protobuf.ByteString;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Two small trained models, and their images as an undisturbed sampler makes them. Odd versions
 * that {@link #publish} publishes are of the first, even ones of the second.
 */
final class SmallModels {

  static final String NAME = "digits";

  private final List<ModelBundle> models;
  private final List<byte[]> onnx = new ArrayList<>();
  private final List<ByteString> images = new ArrayList<>();

  private SmallModels(List<ModelBundle> models) throws IOException {
    this.models = models;
    for (ModelBundle model : models) {
      onnx.add(model.readModel());
    }
  }

  /** Trains both in a folder. */
  static SmallModels train(Path folder) throws IOException, InterruptedException {
    for (String seed : List.of("1", "2")) {
      Programs.run(
          folder,
          Stream.concat(
                  Programs.smallTraining("--seed=" + seed, "--model=" + NAME).stream(),
                  Stream.of("--runs=trained/runs", "--repository=trained/models"))
              .map(argument -> argument.equals("--epochs=15") ? "--epochs=2" : argument)
              .toList());
    }
    Path repository = folder.resolve("trained/models");
    ModelRepository trained = new ModelRepository(repository);
    SmallModels models = new SmallModels(List.of(trained.open(NAME, 1), trained.open(NAME, 2)));
    try (Service sampler = Service.sampler(folder, "--repository=" + repository)) {
      sampler.program().awaitLine("serving " + NAME + "/2 ");
      for (long version : List.of(1L, 2L)) {
        models.images.add(CheckedCalls.images(sampler.channel(), NAME, version));
      }
    }
    return models;
  }

  /** The images that a version must have. */
  ByteString images(long version) {
    return images.get((int) ((version - 1) % 2));
  }

  /** Publishes the next version; returns its number. */
  long publish(Path repository) throws IOException {
    ModelRepository to = new ModelRepository(repository);
    long next = to.versions(NAME).stream().findFirst().orElse(0L) + 1;
    int which = (int) ((next - 1) % 2);
    ModelManifest draft = models.get(which).manifest();
    long version = to.publish(draft, onnx.get(which)).version();
    if (version != next) {
      throw new IllegalStateException("published %d instead of %d".formatted(version, next));
    }
    return version;
  }
}
