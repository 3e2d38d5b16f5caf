package dev.dcgan.server.access;

import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The roles of every gRPC method and HTTP path of both programs: the one table, which {@code
 * proto/README.md} repeats. A method or path without a rule cannot be served where roles are
 * enforced.
 *
 * <p>A caller needs one of the roles of a rule; a rule without roles is open to all.
 */
public final class AccessRules {

  private static final Set<Role> OPEN = Set.of();
  private static final Set<Role> ANY = EnumSet.allOf(Role.class);
  private static final Set<Role> GENERATE = Set.of(Role.GENERATE);
  private static final Set<Role> MODELS = EnumSet.of(Role.GENERATE, Role.READ);
  private static final Set<Role> RUNS = EnumSet.of(Role.READ, Role.TRAIN, Role.PUBLISH);
  private static final Set<Role> TRAIN = Set.of(Role.TRAIN);
  private static final Set<Role> PUBLISH = Set.of(Role.PUBLISH);
  private static final Set<Role> READ = Set.of(Role.READ);
  private static final Set<Role> ADMIN = Set.of(Role.ADMIN);

  private static final Map<String, Set<Role>> METHODS = new LinkedHashMap<>();
  // The first that matches counts. A star stands for any text.
  private static final Map<String, Set<Role>> PATHS = new LinkedHashMap<>();

  static {
    methods("grpc.health.v1.Health", OPEN, "Check", "Watch");
    methods("grpc.reflection.v1.ServerReflection", ANY, "ServerReflectionInfo");
    methods("grpc.reflection.v1alpha.ServerReflection", ANY, "ServerReflectionInfo");
    methods(
        "dcgan.v1.SamplerService",
        GENERATE,
        "Generate",
        "GenerateStream",
        "GetLatents",
        "Decode",
        "Interpolate");
    methods("dcgan.v1.SamplerService", MODELS, "ListModels", "GetModel");
    methods("dcgan.v1.SamplerService", ADMIN, "SetServingVersion");
    methods("inference.GRPCInferenceService", OPEN, "ServerLive", "ServerReady");
    methods(
        "inference.GRPCInferenceService", MODELS, "ModelReady", "ServerMetadata", "ModelMetadata");
    methods("inference.GRPCInferenceService", GENERATE, "ModelInfer");
    methods("dcgan.v1.TrainerService", RUNS, "GetRun", "ListRuns", "WatchRun", "GetSamples");
    // A run that publishes by itself also needs PUBLISH, which the trainer's RunManager requires.
    methods("dcgan.v1.TrainerService", TRAIN, "StartRun", "StopRun", "ResumeRun");
    methods("dcgan.v1.TrainerService", PUBLISH, "PublishModel");
    paths(OPEN, "GET /healthz", "GET /readyz");
    paths(READ, "GET /metrics");
    paths(GENERATE, "GET /v1/images", "GET /v1/interpolate", "GET /v1/arithmetic");
    paths(MODELS, "GET /v1/models", "GET /v1/model");
    paths(TRAIN, "GET /v1/runs/*/checkpoints/*");
    paths(RUNS, "GET /v1/form", "GET /v1/runs", "GET /v1/runs/*");
    paths(PUBLISH, "POST /v1/runs/*:publish");
    paths(TRAIN, "POST /v1/form", "POST /v1/runs", "POST /v1/runs/*");
    paths(ANY, "GET /", "GET /*.html", "GET /*.css", "GET /*.js", "GET /*.svg");
  }

  private record PathRule(Pattern pattern, Set<Role> roles) {}

  private static final Iterable<PathRule> PATH_RULES =
      PATHS.entrySet().stream()
          .map(rule -> new PathRule(pattern(rule.getKey()), rule.getValue()))
          .toList();

  private AccessRules() {}

  /** The roles of a gRPC method, {@code package.Service/Method}; empty: there is no rule. */
  public static Optional<Set<Role>> method(String fullName) {
    return Optional.ofNullable(METHODS.get(fullName));
  }

  /**
   * The roles of an HTTP path; empty: there is no rule.
   *
   * @param post whether the method is POST; otherwise it is GET or HEAD
   */
  public static Optional<Set<Role>> path(boolean post, String path) {
    String request = (post ? "POST " : "GET ") + path;
    for (PathRule rule : PATH_RULES) {
      if (rule.pattern.matcher(request).matches()) {
        return Optional.of(rule.roles);
      }
    }
    return Optional.empty();
  }

  /** All rules, by method or by HTTP method and path, in order; for documents. */
  public static Map<String, Set<Role>> all() {
    return Stream.concat(METHODS.entrySet().stream(), PATHS.entrySet().stream())
        .collect(
            Collectors.toMap(
                Map.Entry::getKey, Map.Entry::getValue, (a, b) -> a, LinkedHashMap::new));
  }

  private static void methods(String service, Set<Role> roles, String... names) {
    for (String name : names) {
      METHODS.put(service + "/" + name, roles);
    }
  }

  private static void paths(Set<Role> roles, String... requests) {
    for (String request : requests) {
      PATHS.put(request, roles);
    }
  }

  private static Pattern pattern(String rule) {
    return Pattern.compile(
        Stream.of(rule.split("\\*", -1)).map(Pattern::quote).collect(Collectors.joining(".*")));
  }
}
