package dev.dcgan.trainer.config;

import com.google.protobuf.Descriptors.FieldDescriptor;
import dev.dcgan.v1.RunConfig;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A field of {@link RunConfig}: its command-line option, its default and its valid values. The
 * fields and their order are {@link ConfigFields#ALL}.
 *
 * @param name on the wire, {@code batch_size}
 * @param label of the option's value in the help
 * @param help what the option means
 * @param defaultText of the default in the help; empty: the default's value, if it has one
 * @param defaultOf the default by preset; it returns null if the field stays unset
 * @param check what is wrong with a value, if anything
 */
public record ConfigField(
    String name,
    String label,
    String help,
    String defaultText,
    Function<Preset, @Nullable Object> defaultOf,
    Check check) {

  /** Says what is wrong with a value; empty: it is valid. */
  @FunctionalInterface
  interface Check {
    Optional<String> problem(Object value, Preset preset);
  }

  ConfigField withDefault(Object value) {
    return withDefault(preset -> value);
  }

  ConfigField withDefault(Function<Preset, @Nullable Object> byPreset) {
    return new ConfigField(name, label, help, defaultText, byPreset, check);
  }

  ConfigField withDefaultText(String text) {
    return new ConfigField(name, label, help, text, defaultOf, check);
  }

  /** {@code --batch-size} of {@code batch_size}. */
  public static String option(String name) {
    return "--" + name.toLowerCase(Locale.ROOT).replace('_', '-');
  }

  public FieldDescriptor descriptor() {
    return Objects.requireNonNull(RunConfig.getDescriptor().findFieldByName(name), name);
  }

  /** The option's description, with the default. */
  public String description() {
    String text = defaultText;
    if (text.isEmpty()) {
      List<String> values =
          Stream.of(Preset.values())
              .map(defaultOf)
              .map(value -> value == null ? "" : value.toString())
              .distinct()
              .toList();
      text = values.size() == 1 ? values.get(0) : "the preset's";
    }
    return text.isEmpty() ? help : help + " Default: " + text;
  }

  /** Whether a preset may switch it on, so that there must be an option that switches it off. */
  public boolean isNegatable() {
    return name.equals("conditional") // by --preset auto
        || Stream.of(Preset.values()).map(defaultOf).anyMatch(Boolean.TRUE::equals);
  }

  /** Whether a config sets the field. */
  public static boolean isSet(RunConfig config, FieldDescriptor field) {
    return field.hasPresence() ? config.hasField(field) : !config.getField(field).equals("");
  }

  /** Sets the default if the field is unset. */
  void complete(RunConfig.Builder config, Preset preset) {
    Object value = defaultOf.apply(preset);
    if (value != null && !isSet(config.build(), descriptor())) {
      config.setField(descriptor(), value);
    }
  }

  /** Adds a violation if the field is set to an invalid value. */
  void check(RunConfig config, Preset preset, List<ConfigViolation> wrong) {
    if (isSet(config, descriptor())) {
      check
          .problem(config.getField(descriptor()), preset)
          .ifPresent(problem -> wrong.add(new ConfigViolation(name, problem)));
    }
  }
}
