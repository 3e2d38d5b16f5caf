package dev.dcgan.deploy;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.cfg.CoercionAction;
import com.fasterxml.jackson.databind.cfg.CoercionInputShape;
import com.fasterxml.jackson.databind.deser.DeserializationProblemHandler;
import com.fasterxml.jackson.databind.introspect.Annotated;
import com.fasterxml.jackson.databind.introspect.JacksonAnnotationIntrospector;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.type.LogicalType;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Namespace;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaim;
import io.fabric8.kubernetes.api.model.PodTemplateSpec;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.ServiceAccount;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.StatefulSet;
import io.fabric8.kubernetes.api.model.autoscaling.v2.HorizontalPodAutoscaler;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.networking.v1.NetworkPolicy;
import io.fabric8.kubernetes.api.model.policy.v1.PodDisruptionBudget;
import io.fabric8.openshift.api.model.monitoring.v1.PodMonitor;
import io.fabric8.openshift.api.model.monitoring.v1.PrometheusRule;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Objects that are applied together, parsed as strictly as by an API server: unknown kinds and
 * fields, and values of other types, are problems, each with its object and field.
 *
 * @param trees the YAML documents
 * @param objects the documents that could be parsed
 * @param problems found while parsing
 */
record Manifests(List<ObjectNode> trees, List<HasMetadata> objects, List<String> problems) {

  /**
   * The pods of an object.
   *
   * @param owner kind and name, such as "Deployment sampler"
   * @param claims volumes that the owner creates for each pod
   */
  record Pods(
      String owner,
      HasMetadata object,
      PodTemplateSpec template,
      List<PersistentVolumeClaim> claims) {

    Map<String, String> labels() {
      return template.getMetadata().getLabels();
    }

    boolean areSelectedBy(Map<String, String> selector) {
      return labels().entrySet().containsAll(selector.entrySet());
    }
  }

  private static final Map<String, Class<? extends HasMetadata>> TYPES =
      Stream.<Class<? extends HasMetadata>>of(
              ConfigMap.class,
              Deployment.class,
              HorizontalPodAutoscaler.class,
              Job.class,
              Namespace.class,
              NetworkPolicy.class,
              PersistentVolumeClaim.class,
              PodDisruptionBudget.class,
              PodMonitor.class,
              PrometheusRule.class,
              Service.class,
              ServiceAccount.class,
              StatefulSet.class)
          .collect(
              Collectors.toMap(
                  type -> HasMetadata.getApiVersion(type) + " " + HasMetadata.getKind(type),
                  Function.identity()));
  private static final ObjectMapper YAML =
      new ObjectMapper(
          YAMLFactory.builder()
              .enable(com.fasterxml.jackson.core.StreamReadFeature.STRICT_DUPLICATE_DETECTION)
              .build());

  /** Reads YAML documents; documents that are empty or have only comments are skipped. */
  static List<ObjectNode> read(String yaml) throws IOException {
    List<ObjectNode> trees = new ArrayList<>();
    try (var documents = YAML.readerFor(JsonNode.class).<JsonNode>readValues(yaml)) {
      while (documents.hasNext()) {
        if (documents.next() instanceof ObjectNode tree) {
          trees.add(tree);
        }
      }
    }
    return trees;
  }

  static Manifests parse(List<ObjectNode> trees) {
    List<HasMetadata> objects = new ArrayList<>();
    List<String> problems = new ArrayList<>();
    for (ObjectNode tree : trees) {
      HasMetadata object = parse(tree, problems);
      if (object != null) {
        objects.add(object);
      }
    }
    return new Manifests(trees, objects, problems);
  }

  <T extends HasMetadata> List<T> of(Class<T> type) {
    return objects.stream().filter(type::isInstance).map(type::cast).toList();
  }

  <T extends HasMetadata> boolean has(Class<T> type, @Nullable String name) {
    return of(type).stream().anyMatch(object -> object.getMetadata().getName().equals(name));
  }

  List<Pods> pods() {
    List<Pods> pods = new ArrayList<>();
    for (Deployment o : of(Deployment.class)) {
      pods.add(new Pods(name(o), o, o.getSpec().getTemplate(), List.of()));
    }
    for (StatefulSet o : of(StatefulSet.class)) {
      pods.add(
          new Pods(name(o), o, o.getSpec().getTemplate(), o.getSpec().getVolumeClaimTemplates()));
    }
    for (Job o : of(Job.class)) {
      pods.add(new Pods(name(o), o, o.getSpec().getTemplate(), List.of()));
    }
    return pods;
  }

  List<Pods> pods(Map<String, String> selector) {
    return pods().stream().filter(pods -> pods.areSelectedBy(selector)).toList();
  }

  /** Kind and name, such as "Deployment sampler". */
  static String name(HasMetadata object) {
    return object.getKind() + " " + object.getMetadata().getName();
  }

  static String name(JsonNode tree) {
    return tree.path("kind").asText("?") + " " + tree.path("metadata").path("name").asText("?");
  }

  private static @Nullable HasMetadata parse(ObjectNode tree, List<String> problems) {
    String name = tree.path("apiVersion").asText() + " " + tree.path("kind").asText();
    if (name.equals(ScaledObjectCheck.TYPE)) {
      problems.addAll(ScaledObjectCheck.problems(tree));
      return null;
    }
    Class<? extends HasMetadata> type = TYPES.get(name);
    if (type == null) {
      problems.add(
          "%s: unknown kind, apiVersion %s".formatted(name(tree), tree.path("apiVersion")));
      return null;
    }
    try {
      return strictly(name(tree), problems).treeToValue(tree, type);
    } catch (JsonMappingException e) {
      String field =
          e.getPath().stream()
              .map(step -> step.getFieldName() == null ? "" + step.getIndex() : step.getFieldName())
              .collect(Collectors.joining("/", "/", ""));
      problems.add("%s: %s: %s".formatted(name(tree), field, e.getOriginalMessage()));
      return null;
    } catch (IOException e) {
      problems.add("%s: %s".formatted(name(tree), e.getMessage()));
      return null;
    }
  }

  /** The models accept any field and convert numbers to strings; Kubernetes does neither. */
  private static ObjectMapper strictly(String object, List<String> problems) {
    ObjectMapper mapper =
        JsonMapper.builder()
            .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .annotationIntrospector(
                new JacksonAnnotationIntrospector() {
                  private static final long serialVersionUID = 1;

                  @Override
                  public Boolean hasAnySetter(Annotated a) {
                    return false;
                  }
                })
            .addHandler(
                new DeserializationProblemHandler() {
                  @Override
                  public boolean handleUnknownProperty(
                      DeserializationContext context,
                      JsonParser parser,
                      JsonDeserializer<?> deserializer,
                      Object bean,
                      String property)
                      throws IOException {
                    problems.add(
                        "%s: %s: unknown field"
                            .formatted(object, parser.getParsingContext().pathAsPointer()));
                    parser.skipChildren();
                    return true;
                  }
                })
            .withCoercionConfig(
                LogicalType.Textual,
                config -> {
                  for (CoercionInputShape shape :
                      List.of(
                          CoercionInputShape.Integer,
                          CoercionInputShape.Float,
                          CoercionInputShape.Boolean)) {
                    config.setCoercion(shape, CoercionAction.Fail);
                  }
                })
            .build();
    return mapper;
  }
}
