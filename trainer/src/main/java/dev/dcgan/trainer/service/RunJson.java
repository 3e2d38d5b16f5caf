package dev.dcgan.trainer.service;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.TypeRegistry;
import com.google.protobuf.util.JsonFormat;
import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import dev.dcgan.model.JsonLimits;
import dev.dcgan.server.Errors;
import dev.dcgan.trainer.config.ConfigField;
import dev.dcgan.trainer.config.ConfigFields;
import dev.dcgan.trainer.config.Preset;
import dev.dcgan.v1.ListRunsResponse;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunOrBuilder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The messages of the service as JSON (protobuf's form) on one line, without the folders of this
 * machine: of a path only the name remains.
 */
final class RunJson {

  private static final JsonFormat.Printer PRINTER =
      JsonFormat.printer()
          .usingTypeRegistry(
              TypeRegistry.newBuilder()
                  .add(BadRequest.getDescriptor())
                  .add(RetryInfo.getDescriptor())
                  .build())
          .omittingInsignificantWhitespace();
  private static final JsonFormat.Printer WHOLE = PRINTER.alwaysPrintFieldsWithNoPresence();

  // The folders of a path that is absolute, within a text. Names of folders may have spaces and
  // commas; a name with a space before the next slash is text between two paths.
  private static final Pattern FOLDERS =
      Pattern.compile("(?<![\\w.~/-])/(?:[^/\\s:;'\"](?:[^/:;'\"\\v]*[^/\\s:;'\"])?/)++");

  private RunJson() {}

  static String of(Run run) {
    return print(WHOLE, clean(run));
  }

  static String of(ListRunsResponse response) {
    ListRunsResponse.Builder clean = response.toBuilder();
    clean.getRunsBuilderList().forEach(run -> run.mergeFrom(cleaned(run)));
    return print(WHOLE, clean);
  }

  static String of(RunEvent event) {
    return print(WHOLE, withoutFolders(event));
  }

  /** Any other message, which has no paths. */
  static String of(Message message) {
    return print(PRINTER, message);
  }

  /** The fields of a run's config and the presets, for a form. */
  static String form(boolean actions) {
    JsonObject form = new JsonObject();
    form.addProperty("actions", actions);
    JsonArray presets = new JsonArray();
    Stream.of(Preset.values()).forEach(preset -> presets.add(preset.label));
    form.add("presets", presets);
    JsonArray fields = new JsonArray();
    ConfigFields.ALL.forEach(field -> fields.add(form(field)));
    form.add("fields", fields);
    return form.toString();
  }

  private static JsonObject form(ConfigField field) {
    JsonObject json = new JsonObject();
    json.addProperty("name", field.name());
    json.addProperty("help", field.help());
    json.addProperty("type", field.descriptor().getJavaType().name());
    json.addProperty("defaultText", field.defaultText());
    JsonObject defaults = new JsonObject();
    for (Preset preset : Preset.values()) {
      Object value = field.defaultOf().apply(preset);
      if (value != null) {
        defaults.addProperty(preset.label, value.toString());
      }
    }
    json.add("defaults", defaults);
    return json;
  }

  /**
   * Reads a request. A member of {@code config} that cannot be read is a violation of its field, as
   * are those that the service itself finds.
   *
   * @param request has the fields that the path names
   */
  static void read(byte[] body, Message.Builder request) {
    JsonObject json = object(body);
    FieldDescriptor config = request.getDescriptorForType().findFieldByName("config");
    if (config != null && json.get("config") instanceof JsonObject members) {
      json.remove("config");
      request.setField(config, config(members));
    }
    try {
      JsonFormat.parser().merge(json.toString(), request);
    } catch (InvalidProtocolBufferException e) {
      throw Errors.invalidArgument("body", String.valueOf(e.getMessage()));
    }
  }

  private static JsonObject object(byte[] body) {
    Optional<String> problem = JsonLimits.problem(body);
    if (problem.isPresent()) {
      throw Errors.invalidArgument("body", problem.get() + "; expected a JSON object, such as {}");
    }
    try {
      if (JsonParser.parseString(new String(body, StandardCharsets.UTF_8))
          instanceof JsonObject object) {
        return object;
      }
    } catch (JsonParseException e) {
      // Answered below.
    }
    throw Errors.invalidArgument("body", "no JSON object; expected one, such as {}");
  }

  private static RunConfig config(JsonObject members) {
    RunConfig.Builder config = RunConfig.newBuilder();
    List<Errors.Violation> wrong = new ArrayList<>();
    for (Map.Entry<String, JsonElement> member : members.entrySet()) {
      JsonObject one = new JsonObject();
      one.add(member.getKey(), member.getValue());
      try {
        JsonFormat.parser().merge(one.toString(), config);
      } catch (InvalidProtocolBufferException e) {
        wrong.add(
            new Errors.Violation(
                "config." + member.getKey(),
                "%s: %s".formatted(member.getValue(), expected(member.getKey()))));
      }
    }
    if (!wrong.isEmpty()) {
      throw Errors.invalidArgument(wrong);
    }
    return config.build();
  }

  private static String expected(String name) {
    FieldDescriptor field = RunConfig.getDescriptor().findFieldByName(name);
    if (field == null) {
      return "there is no such field";
    }
    return switch (field.getJavaType()) {
      case INT, LONG -> "expected a whole number, 0 or more";
      case FLOAT -> "expected a number";
      case BOOLEAN -> "expected true or false";
      default -> "expected text";
    };
  }

  private static Run.Builder clean(Run run) {
    return run.toBuilder().mergeFrom(cleaned(run));
  }

  /** A run without the folders of the server. */
  static Run withoutFolders(Run run) {
    return clean(run).build();
  }

  /** An event without the folders of the server. */
  static RunEvent withoutFolders(RunEvent event) {
    RunEvent.Builder clean = event.toBuilder();
    if (event.hasStateChanged()) {
      clean.getStateChangedBuilder().setReason(clean(event.getStateChanged().getReason()));
    } else if (event.hasWarning()) {
      clean.getWarningBuilder().setMessage(clean(event.getWarning().getMessage()));
    }
    return clean.build();
  }

  /** The fields of a run that may name folders, without them. */
  private static Run cleaned(RunOrBuilder run) {
    RunConfig was = run.getConfig();
    RunConfig.Builder config = RunConfig.newBuilder();
    if (!was.getData().isEmpty()) {
      String requested = run.getRequestedConfig().getData();
      config.setData(requested.isEmpty() ? name(was.getData()) : clean(requested));
    }
    config.setFeatures(name(was.getFeatures())).setInitFrom(name(was.getInitFrom()));
    return Run.newBuilder().setReason(clean(run.getReason())).setConfig(config).build();
  }

  private static String clean(String text) {
    return FOLDERS.matcher(text).replaceAll("");
  }

  private static String name(String path) {
    return path.substring(path.lastIndexOf('/') + 1);
  }

  private static String print(JsonFormat.Printer printer, MessageOrBuilder message) {
    try {
      return printer.print(message);
    } catch (InvalidProtocolBufferException e) {
      throw new IllegalStateException(e); // A detail of a type that is not registered.
    }
  }
}
