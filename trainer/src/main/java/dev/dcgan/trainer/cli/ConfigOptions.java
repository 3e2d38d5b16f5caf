package dev.dcgan.trainer.cli;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.TextFormat;
import dev.dcgan.server.Uint64Converter;
import dev.dcgan.server.Validator;
import dev.dcgan.trainer.config.ConfigField;
import dev.dcgan.trainer.config.ConfigFields;
import dev.dcgan.trainer.config.ConfigViolation;
import dev.dcgan.trainer.config.InvalidConfigException;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.v1.RunConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Spec;

/** The options of a run's config, generated from {@link ConfigFields}: one for each field. */
@Command // Required of a mixin that has no annotated option.
public final class ConfigOptions {

  private static final List<String> PATHS = List.of("data", "features");
  private static final List<String> DATA =
      List.of(
          "data",
          "dataset",
          "images",
          "held_out",
          "max_unreadable",
          "evaluation_images",
          "features",
          "features_range");

  private final Map<String, OptionSpec> options = new LinkedHashMap<>();

  /** The options of every field, except the model's name, which each command has itself. */
  public ConfigOptions() {
    this(field -> !field.name().equals("model"));
  }

  private ConfigOptions(Predicate<ConfigField> chosen) {
    for (ConfigField field : ConfigFields.ALL) {
      if (chosen.test(field)) {
        options.put(field.name(), option(field));
      }
    }
  }

  /** The options that say which images are used and how they are evaluated. */
  static ConfigOptions ofData() {
    return new ConfigOptions(field -> DATA.contains(field.name()));
  }

  /** Adds the options to the command that has this mixin. */
  @Spec(Spec.Target.MIXEE)
  void addTo(CommandSpec command) {
    options.values().forEach(command::addOption);
  }

  private static OptionSpec option(ConfigField field) {
    OptionSpec.Builder option =
        OptionSpec.builder(ConfigField.option(field.name())).description(field.description());
    if (!field.label().isEmpty()) {
      option.paramLabel(field.label());
    }
    if (field.name().equals("publish")) {
      return option.type(List.class).auxiliaryTypes(String.class).arity("1..2").build();
    }
    return switch (field.descriptor().getJavaType()) {
      case INT -> option.type(Integer.class).converters(new UnsignedConverter()).build();
      case LONG -> option.type(Long.class).converters(new Uint64Converter()).build();
      case FLOAT -> option.type(Float.class).build();
      case BOOLEAN -> option.type(Boolean.class).negatable(field.isNegatable()).build();
      default -> option.type(String.class).build();
    };
  }

  /** Adds a line for each option that is wrong, except the model's name. */
  void check(Validator problems) {
    requireExisting(problems);
    requireNoIgnoredImages(problems);
    check(config(""), problems);
  }

  /** Adds a line for each path that is empty or does not exist. */
  void checkPaths(Validator problems) {
    requireExisting(problems);
    requireNoIgnoredImages(problems);
    for (String name : PATHS) {
      problems.require(
          !isBlank(value(name)),
          "%s '%s': expected a path, found none".formatted(ConfigField.option(name), value(name)));
    }
  }

  private void requireNoIgnoredImages(Validator problems) {
    problems.require(
        value("images") == null || value("data") == null,
        "--images beside --data: it is the number of drawn digits; leave it out");
  }

  private void requireExisting(Validator problems) {
    for (String name : PATHS) {
      Object path = value(name);
      problems.require(
          path == null || isBlank(path) || Files.exists(Path.of(path.toString())),
          "%s %s: no such file or folder".formatted(ConfigField.option(name), path));
    }
  }

  /** An empty path would be the working directory. */
  private static boolean isBlank(@Nullable Object path) {
    return path != null && path.toString().isBlank();
  }

  /** As {@link #check(Validator)}, for a run of a service, which checks the paths itself. */
  public void checkForService(String model, Validator problems) {
    requireNoIgnoredImages(problems);
    check(configForService(model), problems);
  }

  private static void check(RunConfig config, Validator problems) {
    try {
      TrainingConfig.of(config);
    } catch (InvalidConfigException e) {
      for (ConfigViolation violation : e.violations()) {
        problems.add(ConfigField.option(violation.field()) + " " + violation.description());
      }
    }
  }

  /** The given options, except those of some fields. */
  List<String> given(List<String> except) {
    return options.keySet().stream()
        .filter(field -> value(field) != null && !except.contains(field))
        .map(ConfigField::option)
        .toList();
  }

  /** Whether the preset and the epochs follow the images of the command line. */
  boolean choosesPreset() {
    RunConfig given = config("");
    return TrainingConfig.choosesPreset(given) && !given.getData().isEmpty();
  }

  /** Whether the command line says which images to use. */
  boolean namesImages() {
    return value("data") != null || value("dataset") != null;
  }

  /** The config of the command line, with absolute paths and without defaults. */
  RunConfig config(String model) {
    return addTo(RunConfig.newBuilder().setModel(model)).build();
  }

  /**
   * The config to send to a service: paths as they were given.
   *
   * @param model empty: the preset's
   */
  public RunConfig configForService(String model) {
    return addTo(RunConfig.newBuilder().setModel(model), UnaryOperator.identity()).build();
  }

  /** Sets the given options, with absolute paths. */
  RunConfig.Builder addTo(RunConfig.Builder config) {
    return addTo(config, path -> path.toAbsolutePath().normalize());
  }

  private RunConfig.Builder addTo(RunConfig.Builder config, UnaryOperator<Path> paths) {
    for (String name : options.keySet()) {
      Object value = value(name);
      if (value instanceof List<?> words) {
        value = String.join(" ", words.stream().map(Object::toString).toList());
      } else if (value != null && PATHS.contains(name) && !isBlank(value)) {
        value = paths.apply(Path.of(value.toString())).toString();
      }
      if (value != null) {
        config.setField(RunConfig.getDescriptor().findFieldByName(name), value);
      }
    }
    return config;
  }

  /** The value of an option; null if it was not given. */
  private @Nullable Object value(String name) {
    OptionSpec option = options.get(name);
    return option == null ? null : option.getValue();
  }

  /**
   * The differences between two complete configs, one for each option: {@code --seed 2 (was 1)}.
   */
  static List<String> differences(RunConfig was, RunConfig is) {
    List<String> differences = new ArrayList<>();
    for (FieldDescriptor field : RunConfig.getDescriptor().getFields()) {
      String before = text(was, field);
      String now = text(is, field);
      if (!now.equals(before)) {
        differences.add(
            "%s %s (was %s)".formatted(ConfigField.option(field.getName()), now, before));
      }
    }
    return differences;
  }

  private static String text(RunConfig config, FieldDescriptor field) {
    // "seed: 1", printed as the unsigned number that it is.
    return ConfigField.isSet(config, field)
        ? TextFormat.printer()
            .printFieldToString(field, config.getField(field))
            .replaceFirst("^[^:]*: ", "")
            .strip()
        : "not given";
  }
}
