package dev.dcgan.deploy;

import com.google.errorprone.annotations.FormatMethod;
import dev.dcgan.deploy.Manifests.Pods;
import dev.dcgan.sampler.SamplerMain;
import dev.dcgan.server.DryRun;
import dev.dcgan.server.FinalFailureException;
import dev.dcgan.server.Shutdown;
import dev.dcgan.trainer.TrainerMain;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.TrainerServiceGrpc;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.ContainerPort;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.Probe;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.PodFailurePolicyRule;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;

/**
 * Checks that the programs accept the command lines and variables of pods, with their files in
 * place, and that ports, probes and termination grace periods fit the programs.
 */
final class ProgramCheck {

  private static final Map<String, Class<?>> PROGRAMS =
      Map.of("dcgan-sampler", SamplerMain.class, "dcgan-trainer", TrainerMain.class);
  private static final Pattern IMAGE = Pattern.compile("(?:.*/)?([^/:]+)(?::[^/:]+)?");
  private static final Pattern REFERENCE = Pattern.compile("\\$\\(([A-Za-z_][A-Za-z0-9_]*)\\)");
  private static final Pattern LIST_OF_FILES = Pattern.compile("(?<=^|=|@)/[^\\s]*");
  private static final String PREFIX = "DCGAN_";
  // GrpcServer takes up to twice CUT_OFF to end calls that outlast their grace.
  private static final Duration CUT_OFF = Duration.ofSeconds(10);
  // The three later steps of the sampler have at least LEAST_WAIT each.
  private static final Duration LATER_STEPS = Duration.ofSeconds(3);
  // A step of a large network on the CPU, and the fsync of a checkpoint on a slow disk.
  private static final Duration CHECKPOINT = Duration.ofSeconds(60);

  private final Manifests manifests;
  private final Pods pods;
  private final Container container;
  private final Path root;
  private final List<String> problems = new ArrayList<>();

  private ProgramCheck(Manifests manifests, Pods pods, Container container, Path root) {
    this.manifests = manifests;
    this.pods = pods;
    this.container = container;
    this.root = root;
  }

  /**
   * All problems.
   *
   * @param scratch an empty folder in which volumes are created
   * @param secrets the files of each Secret that operators create
   */
  static List<String> problems(Manifests manifests, Path scratch, Map<String, Path> secrets)
      throws IOException {
    List<String> problems = new ArrayList<>();
    for (Pods pods : manifests.pods()) {
      for (Container container : pods.template().getSpec().getContainers()) {
        Path root = Files.createTempDirectory(scratch, "root");
        ProgramCheck check = new ProgramCheck(manifests, pods, container, root);
        check.mount(secrets);
        check.run();
        problems.addAll(check.problems);
      }
    }
    return problems;
  }

  @FormatMethod
  private void add(String line, Object... values) {
    problems.add(pods.owner() + ": " + line.formatted(values));
  }

  private void run() {
    Matcher image = IMAGE.matcher(container.getImage());
    Class<?> program = image.matches() ? PROGRAMS.get(image.group(1)) : null;
    if (program == null) {
      add("image: %s is none of %s", container.getImage(), PROGRAMS.keySet());
      return;
    }
    List<String> first = new ArrayList<>();
    for (int index = 0; index < indices(); index++) {
      Map<String, String> environment = environment(index);
      List<String> args = new ArrayList<>();
      container.getArgs().forEach(arg -> args.add(inRoot("args", expand(arg, environment))));
      environment.replaceAll((name, value) -> inRoot("env/" + name, value));
      for (String line : DryRun.problems(program, environment, args)) {
        add("%s: %s", container.getName(), line);
      }
      if (index == 0) {
        first.addAll(args);
        options(program, args, environment);
      }
    }
    if (!problems.isEmpty()) {
      return; // There may be no such command.
    }
    if (pods.object() instanceof Job job) {
      exitCodes(job, first.contains("train"));
    }
    if (first.contains("export")) {
      parts(first);
    }
    if (first.contains("serve")) {
      service(program);
    }
    for (ContainerPort port : container.getPorts()) {
      String option = port.getName().equals("grpc") ? "--port" : "--http-port";
      String listens = String.valueOf(DryRun.value(program, first.get(0), option));
      if (!listens.equals(String.valueOf(port.getContainerPort()))) {
        add("ports/%s: expected %s, where the program listens", port.getName(), listens);
      }
    }
    requireWritable();
  }

  private int indices() {
    return pods.object() instanceof Job job && job.getSpec().getCompletions() != null
        ? job.getSpec().getCompletions()
        : 1;
  }

  /** The variables of the container in the pod of an index. */
  private Map<String, String> environment(int index) {
    Map<String, String> environment = new LinkedHashMap<>();
    for (EnvVar variable : container.getEnv()) {
      String value;
      if (variable.getValueFrom() == null) {
        value = expand(Objects.requireNonNullElse(variable.getValue(), ""), environment);
      } else if (variable.getValueFrom().getFieldRef() != null) {
        value = Integer.toString(index);
        if (!(pods.object() instanceof Job job)
            || !"Indexed".equals(job.getSpec().getCompletionMode())) {
          add("env/%s: only pods of an indexed Job have an index", variable.getName());
        }
      } else {
        String resource = variable.getValueFrom().getResourceFieldRef().getResource();
        value =
            String.valueOf(
                container
                    .getResources()
                    .getRequests()
                    .get(resource.substring("requests.".length())));
      }
      environment.put(variable.getName(), value);
    }
    return environment;
  }

  private String expand(String text, Map<String, String> environment) {
    return REFERENCE
        .matcher(text)
        .replaceAll(
            reference -> {
              String value = environment.get(reference.group(1));
              if (value == null) {
                add("%s: no variable %s before it", text, reference.group(1));
                return "";
              }
              return Matcher.quoteReplacement(value);
            });
  }

  /** Checks that every variable is an option of the command, or one that others read. */
  private void options(Class<?> program, List<String> args, Map<String, String> environment) {
    strangers(program, args, environment)
        .forEach((name, option) -> add("env/%s: no option %s of %s", name, option, args.get(0)));
  }

  /** The variables that look like options but are not, with the names of these options. */
  static Map<String, String> strangers(
      Class<?> program, List<String> args, Map<String, String> environment) {
    List<String> options = DryRun.options(program, args);
    Map<String, String> strangers = new LinkedHashMap<>();
    for (String name : environment.keySet()) {
      String option =
          name.startsWith(PREFIX)
              ? "--" + name.substring(PREFIX.length()).toLowerCase(Locale.ROOT).replace('_', '-')
              : "";
      if (!option.isEmpty() && !name.equals("DCGAN_LOG_LEVEL") && !options.contains(option)) {
        strangers.put(name, option);
      }
    }
    return strangers;
  }

  /** Checks that the job treats the exit codes as the program means them. */
  private void exitCodes(Job job, boolean trains) {
    Set<Integer> ignored = new TreeSet<>();
    Set<Integer> failed = new TreeSet<>();
    for (PodFailurePolicyRule rule : job.getSpec().getPodFailurePolicy().getRules()) {
      if (rule.getOnExitCodes() != null) {
        (rule.getAction().equals("Ignore") ? ignored : failed)
            .addAll(rule.getOnExitCodes().getValues());
      }
    }
    Set<Integer> forGood = new TreeSet<>(Set.of(CommandLine.ExitCode.USAGE));
    if (trains) {
      forGood.add(FinalFailureException.EXIT_CODE);
    }
    if (!ignored.equals(Set.of(Shutdown.TRY_AGAIN))) {
      add("podFailurePolicy: ignores %s, expected [%d]", ignored, Shutdown.TRY_AGAIN);
    }
    if (!failed.equals(forGood)) {
      add("podFailurePolicy: fails at %s, expected %s", failed, forGood);
    }
  }

  /** Checks that the number of completions equals the number of parts. */
  private void parts(List<String> args) {
    String expected = "--parts=" + indices();
    if (!args.contains(expected)) {
      add("completions: %d, and no %s", indices(), expected);
    }
  }

  private void service(Class<?> program) {
    boolean sampler = program == SamplerMain.class;
    requireGrace(longestEnd(program, environment(0)));
    String name = sampler ? SamplerServiceGrpc.SERVICE_NAME : TrainerServiceGrpc.SERVICE_NAME;
    probe("startupProbe", container.getStartupProbe(), "", "/healthz");
    probe("livenessProbe", container.getLivenessProbe(), "", "/healthz");
    probe("readinessProbe", container.getReadinessProbe(), name, "/readyz");
  }

  private void probe(String field, @Nullable Probe probe, String service, String path) {
    if (probe == null) {
      add("%s: missing", field);
    } else if (probe.getGrpc() != null) {
      if (!Objects.requireNonNullElse(probe.getGrpc().getService(), "").equals(service)) {
        add("%s/grpc/service: '%s', expected '%s'", field, probe.getGrpc().getService(), service);
      }
      if (environment(0).containsKey("DCGAN_TLS_CERT")) {
        add("%s/grpc: gRPC probes do not support TLS", field);
      }
    } else if (!path.equals(probe.getHttpGet().getPath())) {
      add("%s/httpGet/path: %s, expected %s", field, probe.getHttpGet().getPath(), path);
    }
  }

  /** The longest time from SIGTERM to the exit of a service. */
  static Duration longestEnd(Class<?> program, Map<String, String> environment) {
    Duration end = duration(program, environment, "--drain-grace").plus(CUT_OFF);
    return program == SamplerMain.class
        ? end.plus(duration(program, environment, "--drain-delay")).plus(LATER_STEPS)
        : end;
  }

  /** The value of an option from the environment, else its default. */
  private static Duration duration(
      Class<?> program, Map<String, String> environment, String option) {
    String name = PREFIX + option.substring(2).replace('-', '_').toUpperCase(Locale.ROOT);
    String value = environment.get(name);
    return value == null
        ? (Duration) DryRun.value(program, "serve", option)
        : DryRun.duration(value);
  }

  private void requireGrace(Duration atLeast) {
    Long grace = pods.template().getSpec().getTerminationGracePeriodSeconds();
    if (grace == null || grace <= atLeast.toSeconds()) {
      add(
          "terminationGracePeriodSeconds: %s, but shutdown may take %d s",
          grace, atLeast.toSeconds());
    }
  }

  /** Checks that folders are writable: runs and models of a trainer, exports of a sampler. */
  private void requireWritable() {
    boolean sampler = container.getImage().contains("dcgan-sampler");
    Map<String, String> environment = environment(0);
    requireMount("DCGAN_REPOSITORY", environment.get("DCGAN_REPOSITORY"), sampler);
    if (!sampler) {
      requireMount("DCGAN_RUNS", environment.get("DCGAN_RUNS"), false);
    }
    container.getArgs().stream()
        .filter(arg -> arg.startsWith("--out="))
        .forEach(arg -> requireMount("--out", arg.substring("--out=".length()), false));
    requireMount("/tmp", "/tmp", false);
    if (pods.object() instanceof Job) {
      requireGrace(CHECKPOINT.minusSeconds(1));
    }
  }

  private void requireMount(String what, @Nullable String path, boolean readOnly) {
    Optional<VolumeMount> mount = path == null ? Optional.empty() : mount(path);
    if (mount.isEmpty()) {
      add("volumeMounts: none for %s, %s", what, String.valueOf(path));
    } else if (Boolean.TRUE.equals(mount.get().getReadOnly()) != readOnly) {
      add("volumeMounts/%s: readOnly is not %s", mount.get().getName(), readOnly);
    }
  }

  private Optional<VolumeMount> mount(String path) {
    return container.getVolumeMounts().stream()
        .filter(mount -> (path + "/").startsWith(mount.getMountPath() + "/"))
        .findFirst();
  }

  /** Moves the paths of files below {@link #root}, where this process can read them. */
  private String inRoot(String field, String text) {
    return LIST_OF_FILES
        .matcher(text)
        .replaceAll(
            path -> {
              if (mount(path.group()).isEmpty()) {
                add("%s: %s is on no volume", field, path.group());
              }
              return Matcher.quoteReplacement(root + path.group());
            });
  }

  /** Creates a folder for each mount, with the files of ConfigMaps and Secrets. */
  private void mount(Map<String, Path> secrets) throws IOException {
    PodSpec spec = pods.template().getSpec();
    for (VolumeMount mount : container.getVolumeMounts()) {
      Path folder = Files.createDirectories(Path.of(root + mount.getMountPath()));
      for (Volume volume : spec.getVolumes()) {
        if (!volume.getName().equals(mount.getName())) {
          continue;
        }
        if (volume.getConfigMap() != null) {
          for (Map.Entry<String, String> file : data(volume.getConfigMap().getName()).entrySet()) {
            Files.writeString(folder.resolve(file.getKey()), file.getValue());
          }
        }
        Path secret =
            volume.getSecret() == null ? null : secrets.get(volume.getSecret().getSecretName());
        if (secret != null) {
          try (Stream<Path> files = Files.list(secret)) {
            for (Path file : (Iterable<Path>) files::iterator) {
              Files.copy(file, folder.resolve(file.getFileName()));
            }
          }
        }
      }
    }
  }

  private Map<String, String> data(String configMap) {
    return manifests.of(ConfigMap.class).stream()
        .filter(map -> map.getMetadata().getName().equals(configMap))
        .findFirst()
        .map(ConfigMap::getData)
        .orElseGet(HashMap::new);
  }
}
