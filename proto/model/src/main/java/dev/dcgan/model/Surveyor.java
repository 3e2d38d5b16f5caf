package dev.dcgan.model;

import dev.dcgan.model.RepositorySurvey.Model;
import dev.dcgan.model.RepositorySurvey.Skipped;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Makes a {@link RepositorySurvey}. It looks at most three levels deep and follows links. */
final class Surveyor {

  private static final Set<String> SYSTEM_FOLDERS =
      Set.of("lost+found", "@eaDir", "__MACOSX", "$RECYCLE.BIN", "System Volume Information");
  private static final Pattern VERSION_LIKE = Pattern.compile("[vV]?[-_]?[0-9]+([._-][0-9]+)*");
  private static final Pattern TORCH = Pattern.compile(".*\\.(pt|pth|ckpt|safetensors|pkl)");
  private static final Pattern TENSORFLOW = Pattern.compile(".*\\.(pb|h5|keras|tflite)");
  private static final Pattern TENSORRT = Pattern.compile(".*\\.(plan|engine)");

  private final ModelRepository repository;
  private final List<Model> models = new ArrayList<>();
  private final List<Skipped> skipped = new ArrayList<>();

  private Surveyor(ModelRepository repository) {
    this.repository = repository;
  }

  /**
   * Surveys a repository.
   *
   * @throws IOException if the repository itself cannot be listed
   */
  static RepositorySurvey survey(ModelRepository repository) throws IOException {
    Surveyor surveyor = new Surveyor(repository);
    for (Path entry : sorted(repository.root())) {
      if (!isIgnored(entry)) {
        try {
          surveyor.addEntry(entry);
        } catch (IOException e) {
          surveyor.skip(entry, unreadable(entry, e));
        }
      }
    }
    surveyor.models.sort(Comparator.comparing(Model::name));
    surveyor.skipped.sort(Comparator.comparing(Skipped::path));
    return new RepositorySurvey(surveyor.models, surveyor.skipped);
  }

  /**
   * The reason why a version's folder has no model file that can be read; null: it has one.
   *
   * @param folder the folder of a version
   */
  static @Nullable String missingModel(Path folder) {
    Path model = folder.resolve(ModelBundle.MODEL_FILE);
    if (Files.isRegularFile(model)) {
      return Files.isReadable(model)
          ? null
          : "has a model.onnx that cannot be read%s: make it readable for this user"
              .formatted(mode(model));
    }
    try {
      if (Files.isSymbolicLink(model)) {
        return "has a model.onnx that is a broken link to %s; copy the file itself"
            .formatted(Files.readSymbolicLink(model));
      }
      if (Files.exists(model)) {
        return "has a model.onnx that is not a file; expected a file";
      }
      for (Path file : sorted(folder)) {
        String remedy = isIgnored(file) ? null : remedy(name(file));
        if (remedy != null) {
          return "is incomplete: model.onnx is missing, but it holds %s: %s"
              .formatted(name(file), remedy);
        }
      }
    } catch (IOException e) {
      return unreadable(folder, e);
    }
    return "is incomplete: model.onnx is missing";
  }

  private void addEntry(Path entry) throws IOException {
    if (isBrokenLink(entry)) {
      skip(entry, "is a broken link to %s".formatted(Files.readSymbolicLink(entry)));
      return;
    }
    String name = name(entry);
    if (!Files.isDirectory(entry)) {
      if (remedy(name) != null || name.toLowerCase(Locale.ROOT).matches(".*\\.(zip|tar|tgz|gz)")) {
        skip(
            entry,
            "is a file in the repository itself; expected <model>/<version>/model.onnx: move it"
                + " there, or point --repository at the folder that holds the models");
      }
      return;
    }
    if (isAncestor(entry)) {
      skip(entry, "is a link to the repository or to a folder above it");
      return;
    }
    List<Path> children = sorted(entry);
    if (!ModelRepository.isName(name)) {
      if (holdsModel(children)) {
        skip(
            entry,
            "is not a valid model name; expected %s: rename the folder"
                .formatted(ModelRepository.NAME_RULE));
      }
      return;
    }
    int skippedBefore = skipped.size();
    List<Long> versions = new ArrayList<>();
    for (Path child : children) {
      if (!isIgnored(child)) {
        addVersion(child, versions);
      }
    }
    if (!versions.isEmpty()) {
      versions.sort(Comparator.reverseOrder());
      models.add(new Model(name, versions, pinned(name)));
    } else if (skipped.size() == skippedBefore) {
      addMisplaced(entry, children);
    }
  }

  private void addVersion(Path child, List<Long> versions) throws IOException {
    String name = name(child);
    if (!ModelRepository.isVersion(name)) {
      if (VERSION_LIKE.matcher(name).matches() && Files.isDirectory(child) && hasModelFile(child)) {
        skip(
            child,
            "is not a version number; expected 1, 2, 3 and so on, without leading zeros: rename"
                + " the folder");
      }
      return;
    }
    if (isBrokenLink(child)) {
      skip(child, "is a broken link to %s".formatted(Files.readSymbolicLink(child)));
    } else if (!Files.isDirectory(child)) {
      skip(child, "is a file; expected a folder with a model.onnx");
    } else {
      String reason = missingModel(child);
      if (reason == null) {
        versions.add(Long.valueOf(name));
      } else {
        skipped.add(new Skipped(child, reason, true));
      }
    }
  }

  /** Names a folder with models on another level. */
  private void addMisplaced(Path entry, List<Path> children) {
    for (Path child : children) {
      if (isModelFile(child)) {
        skip(
            entry,
            ModelRepository.isVersion(name(entry))
                ? "is a version where a model is expected: point --repository at the folder above"
                : "has %s but no version; expected %s/1/model.onnx: move it into a folder 1"
                    .formatted(name(child), name(entry)));
        return;
      }
    }
    for (Path child : children) {
      if (!isIgnored(child) && Files.isDirectory(child) && holdsModelOrNothing(child)) {
        skip(
            entry,
            "holds %s, a model rather than a version: point --repository at it, or move the model"
                    .formatted(name(child))
                + " one level up");
        return;
      }
    }
  }

  private OptionalLong pinned(String model) {
    try {
      return repository.pinned(model);
    } catch (IOException e) {
      skip(
          repository.root().resolve(model).resolve(ModelRepository.SERVING_VERSION),
          "is no valid pin; expected a version number: pin a version again, or delete the file");
      return OptionalLong.empty();
    }
  }

  private void skip(Path path, String reason) {
    skipped.add(new Skipped(path, reason, false));
  }

  /** Whether a folder that lists {@code children} has a model file, or a subfolder with one. */
  private static boolean holdsModel(List<Path> children) {
    return children.stream()
        .filter(child -> !isIgnored(child))
        .anyMatch(child -> isModelFile(child) || hasModelFile(child));
  }

  private static boolean holdsModelOrNothing(Path folder) {
    try {
      return holdsModel(sorted(folder));
    } catch (IOException e) {
      return false;
    }
  }

  private static boolean hasModelFile(Path folder) {
    try {
      return Files.isDirectory(folder) && sorted(folder).stream().anyMatch(Surveyor::isModelFile);
    } catch (IOException e) {
      return false;
    }
  }

  private static boolean isModelFile(Path file) {
    return remedy(name(file)) != null && Files.isRegularFile(file);
  }

  /** What to do with a model file of another name or format; null: it is no model file. */
  private static @Nullable String remedy(String name) {
    String lower = name.toLowerCase(Locale.ROOT);
    if (lower.endsWith(".onnx")) {
      return "rename it to model.onnx";
    }
    if (TORCH.matcher(lower).matches()) {
      return "it is a PyTorch file; export the generator with torch.onnx.export";
    }
    if (TENSORFLOW.matcher(lower).matches()) {
      return "it is a TensorFlow file; convert the generator with tf2onnx";
    }
    if (TENSORRT.matcher(lower).matches()) {
      return "it is a TensorRT engine; copy the ONNX model that it was built from";
    }
    return null;
  }

  private boolean isAncestor(Path entry) throws IOException {
    return Files.isSymbolicLink(entry)
        && repository.root().toRealPath().startsWith(entry.toRealPath());
  }

  private static boolean isIgnored(Path path) {
    return name(path).startsWith(".") || SYSTEM_FOLDERS.contains(name(path));
  }

  private static boolean isBrokenLink(Path path) {
    return Files.isSymbolicLink(path) && !Files.exists(path);
  }

  private static String unreadable(Path path, IOException e) {
    if (e instanceof AccessDeniedException) {
      return "cannot be read%s: make it readable for this user".formatted(mode(path));
    }
    if (e instanceof FileSystemLoopException) {
      return "is a loop of links";
    }
    return "cannot be read: " + e.getMessage();
  }

  /** The owner and mode of a file for an error message; empty if the file system has none. */
  private static String mode(Path path) {
    try {
      return " (owner %s, mode %s)"
          .formatted(
              Files.getOwner(path).getName(),
              PosixFilePermissions.toString(Files.getPosixFilePermissions(path)));
    } catch (IOException | UnsupportedOperationException e) {
      return "";
    }
  }

  private static String name(Path path) {
    return path.getFileName().toString();
  }

  private static List<Path> sorted(Path folder) throws IOException {
    try {
      return ModelRepository.list(folder).stream().sorted().toList();
    } catch (NoSuchFileException e) {
      return List.of();
    }
  }
}
