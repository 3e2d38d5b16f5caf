package dev.dcgan.sampler.graph;

import dev.dcgan.sampler.graph.Node.Attribute;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A node with its inputs, as the rules of {@link Operators} read them.
 *
 * @param inputs null: an optional input is absent
 */
record NodeInputs(Node node, List<@Nullable Tensor> inputs) {

  /** A required input. */
  Tensor input(int i) {
    Tensor tensor = optional(i);
    if (tensor == null) {
      throw new GraphException("has no input %d", i);
    }
    return tensor;
  }

  @Nullable Tensor optional(int i) {
    return i < inputs.size() ? inputs.get(i) : null;
  }

  /** Whether no input depends on an input of the model. */
  boolean isConstant() {
    for (Tensor input : inputs) {
      if (input != null && !input.constant()) {
        return false;
      }
    }
    return true;
  }

  long number(String attribute, long other) {
    Attribute found = node.attributes().get(attribute);
    return found == null ? other : found.number();
  }

  String text(String attribute, String other) {
    Attribute found = node.attributes().get(attribute);
    return found == null ? other : found.text();
  }

  @Nullable Attribute attribute(String name) {
    return node.attributes().get(name);
  }

  /** Numbers from an attribute, or from an input as newer operator sets have them; null: none. */
  @Nullable List<Long> numbers(String attribute, int input) {
    Attribute found = node.attributes().get(attribute);
    if (found != null) {
      return found.numbers();
    }
    return optional(input) == null ? null : numbers(input);
  }

  /** The known numbers of an input that determine a shape. */
  List<Long> numbers(int input) {
    return values(input).stream().map(Double::longValue).toList();
  }

  List<Double> values(int input) {
    List<Double> values = input(input).values();
    if (values == null) {
      throw new GraphException(
          "has a size that depends on computed values; expected one that follows from the shapes"
              + " of the model's inputs");
    }
    return values;
  }

  /** An axis in [0, rank). */
  static int axis(long axis, int rank) {
    long positive = axis < 0 ? axis + rank : axis;
    if (positive < 0 || positive >= rank) {
      throw new GraphException("has the axis %d; expected one of %d dimensions", axis, rank);
    }
    return (int) positive;
  }
}
