package dev.dcgan.sampler.graph;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.sampler.graph.GraphReader.Input;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The graph of an ONNX model, checked before ONNX Runtime opens the file: it is feed-forward, has
 * only operators that a generator needs, and the sizes of all values follow from the shapes of its
 * inputs. So the memory of a run is known before it runs. Immutable.
 */
public final class ModelGraph {

  private final Path onnx;
  private final GraphReader graph;
  private final Map<String, Integer> lastUse = new HashMap<>();
  private final int fixedBatch;

  private ModelGraph(Path onnx, GraphReader graph) {
    this.onnx = onnx;
    this.graph = graph;
    for (int i = 0; i < graph.nodes.size(); i++) {
      for (String input : graph.nodes.get(i).inputs()) {
        lastUse.put(input, i);
      }
    }
    graph.outputs.forEach(output -> lastUse.put(output, graph.nodes.size()));
    this.fixedBatch =
        graph.inputs.stream()
            .filter(input -> !graph.initializers.containsKey(input.name()))
            .filter(input -> !input.dims().isEmpty() && input.dims().get(0) > 0)
            .mapToInt(input -> (int) Math.min(Integer.MAX_VALUE, input.dims().get(0)))
            .findFirst()
            .orElse(0);
  }

  /**
   * Reads the graph of a model file.
   *
   * @throws InvalidModelException the file is no ONNX model, or its graph is not allowed
   */
  public static ModelGraph read(Path onnx) throws IOException {
    try (InputStream file = Files.newInputStream(onnx)) {
      return read(onnx, file);
    }
  }

  /** As above, from the bytes of the file. */
  static ModelGraph read(Path onnx, InputStream file) throws IOException {
    try {
      GraphReader graph = GraphReader.read(CodedInputStream.newInstance(file));
      for (Node node : graph.nodes) {
        if (!Operators.isAllowed(node.operator())) {
          throw new GraphException(
              "%s is not allowed; expected feed-forward operators of generators, such as"
                  + " ConvTranspose, Gemm, BatchNormalization, Resize and Reshape",
              node);
        }
      }
      return new ModelGraph(onnx, graph);
    } catch (GraphException e) {
      throw invalid(onnx, e);
    } catch (InvalidProtocolBufferException e) {
      throw new InvalidModelException(
          "cannot use %s: it is not an ONNX model: %s"
              .formatted(onnx, String.valueOf(e.getMessage()).lines().findFirst().orElse("")),
          e);
    }
  }

  /**
   * The largest batch whose values fit into memory: maxBatch, or a half, a quarter and so on.
   *
   * @param minBatch at least 1
   * @param bytes for the values of one run
   * @throws InvalidModelException the smallest batch needs more, or sizes cannot be determined
   */
  public int largestBatch(int minBatch, int maxBatch, long bytes) throws InvalidModelException {
    int batch = maxBatch;
    while (true) {
      Peak peak = peak(batch);
      if (peak.bytes() <= bytes) {
        return batch;
      }
      if (batch / 2 < minBatch || fixedBatch > 0) {
        throw new InvalidModelException(
            "cannot use %s: a run of %d images needs %d bytes for its values, most of them for %s; expected at most %d: raise --activation-memory"
                .formatted(
                    onnx,
                    fixedBatch > 0 ? fixedBatch : batch,
                    peak.bytes(),
                    peak.largest(),
                    bytes));
      }
      batch /= 2;
    }
  }

  /**
   * The most memory that the values of a run need at once.
   *
   * @param largest the node with the largest output or workspace
   */
  record Peak(long bytes, String largest) {}

  /**
   * Estimates the memory of a run, without the weights: each value lives until its last use, and
   * one that depends on no input for ever.
   */
  Peak peak(int batch) throws InvalidModelException {
    return peak(batch, new HashMap<>());
  }

  /**
   * As above.
   *
   * @param values is filled with all values by their names
   */
  Peak peak(int batch, Map<String, Tensor> values) throws InvalidModelException {
    values.putAll(graph.initializers);
    long live = 0;
    long most = 0;
    long largestBytes = 0;
    String largest = "its inputs";
    String at = "it";
    try {
      for (Input input : graph.inputs) {
        if (!graph.initializers.containsKey(input.name())) {
          at = "input '" + Node.excerpt(input.name()) + "'";
          live = Math.addExact(live, define(values, input.name(), tensor(input, batch)));
        }
      }
      for (int i = 0; i < graph.nodes.size(); i++) {
        Node node = graph.nodes.get(i);
        at = node.toString();
        NodeInputs in = new NodeInputs(node, inputs(node, values));
        List<Tensor> outputs = Operators.outputs(in);
        long made = 0;
        for (int k = 0; k < node.outputs().size(); k++) {
          made = Math.addExact(made, define(values, node.outputs().get(k), outputs.get(k)));
        }
        live = Math.addExact(live, made);
        long workspace = Spatial.workspace(in);
        most = Math.max(most, Math.addExact(live, workspace));
        if (Math.addExact(made, workspace) > largestBytes) {
          largestBytes = made + workspace;
          largest = at;
        }
        live -= lastUsed(node, i, values);
      }
      return new Peak(most, largest);
    } catch (GraphException e) {
      throw invalid(onnx, new GraphException("%s %s", at, String.valueOf(e.getMessage())));
    } catch (ArithmeticException e) {
      throw invalid(onnx, new GraphException("%s has a size beyond any memory", at));
    }
  }

  private static List<@Nullable Tensor> inputs(Node node, Map<String, Tensor> values) {
    List<@Nullable Tensor> inputs = new ArrayList<>();
    for (String name : node.inputs()) {
      Tensor value = values.get(name);
      if (value == null && !name.isEmpty()) {
        throw new GraphException(
            "has the input '%s', which no node before it makes", Node.excerpt(name));
      }
      inputs.add(value);
    }
    return inputs;
  }

  private static long define(Map<String, Tensor> values, String name, Tensor tensor) {
    if (name.isEmpty()) {
      return 0; // An output that nobody uses.
    }
    if (values.put(name, tensor) != null) {
      throw new GraphException("makes '%s', which exists already", Node.excerpt(name));
    }
    return tensor.bytes();
  }

  /** The bytes of the values that no later node uses. */
  private long lastUsed(Node node, int i, Map<String, Tensor> values) {
    long freed = 0;
    for (String name : Set.copyOf(node.inputs())) {
      Tensor value = values.get(name);
      if (value != null && !value.constant() && Integer.valueOf(i).equals(lastUse.get(name))) {
        freed += value.bytes();
      }
    }
    for (String name : node.outputs()) {
      Tensor value = values.get(name);
      if (value != null && !value.constant() && !lastUse.containsKey(name)) {
        freed += value.bytes();
      }
    }
    return freed;
  }

  /** The first dimension is the batch, unless the model fixes it. */
  private static Tensor tensor(Input input, int batch) {
    List<Long> dims = new ArrayList<>();
    for (long dim : input.dims()) {
      dims.add(dim > 0 ? dim : dims.isEmpty() ? batch : 1L);
    }
    return new Tensor(dims, input.type(), false);
  }

  private static InvalidModelException invalid(Path onnx, GraphException e) {
    return new InvalidModelException("cannot use %s: %s".formatted(onnx, e.getMessage()), e);
  }
}
