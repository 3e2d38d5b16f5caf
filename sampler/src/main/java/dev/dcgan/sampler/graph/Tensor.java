package dev.dcgan.sampler.graph;

import java.util.List;
import java.util.function.DoubleUnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * The shape of a value in a graph, and the value itself if shapes may be computed from it.
 *
 * @param dims each 0 or more
 * @param type the number of an element type in onnx.proto
 * @param constant whether it depends on no input of the model
 * @param values all elements; null: they are not known, or are more than {@link #MAX_VALUES}
 */
record Tensor(List<Long> dims, int type, boolean constant, @Nullable List<Double> values) {

  static final int FLOAT = 1;
  static final int UINT8 = 2;
  static final int INT32 = 6;
  static final int INT64 = 7;
  static final int BOOL = 9;
  static final int DOUBLE = 11;

  static final int MAX_VALUES = 256;

  private static final int MAX_RANK = 16;
  private static final long MAX_DIM = 1L << 40;
  private static final int STRING = 8;
  // Bytes of an element by its type. Floats of 16 bits count as four bytes, as the CPU computes
  // with; 0: not allowed.
  private static final int[] BYTES = {
    0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 4, 8, 4, 8, 0, 0, 4, 1, 1, 1, 1, 1, 1, 1
  };
  private static final double MAX_EXACT = 0x1p53;

  Tensor {
    dims = List.copyOf(dims);
    if (dims.size() > MAX_RANK) {
      throw new GraphException("has %d dimensions; expected at most %d", dims.size(), MAX_RANK);
    }
    for (long dim : dims) {
      if (dim < 0 || dim > MAX_DIM) {
        throw new GraphException("has the shape %s; expected 0 to %d", dims, MAX_DIM);
      }
    }
    if (type < 0 || type >= BYTES.length || BYTES[type] == 0) {
      throw new GraphException(
          "has elements of %s; expected numbers",
          type == STRING ? "strings" : "the unknown type " + type);
    }
    if (values != null) {
      values =
          values.size() > MAX_VALUES || values.size() != count(dims) ? null : List.copyOf(values);
    }
  }

  /** A value of which only the shape is known. */
  Tensor(List<Long> dims, int type, boolean constant) {
    this(dims, type, constant, null);
  }

  int rank() {
    return dims.size();
  }

  long elements() {
    return count(dims);
  }

  long bytes() {
    try {
      return Math.multiplyExact(elements(), (long) BYTES[type]);
    } catch (ArithmeticException e) {
      throw tooLarge(dims);
    }
  }

  boolean isInteger() {
    return type != FLOAT && type != DOUBLE;
  }

  Tensor withDims(List<Long> changed) {
    return new Tensor(changed, type, constant, values);
  }

  Tensor map(DoubleUnaryOperator function) {
    return new Tensor(
        dims,
        type,
        constant,
        values == null ? null : exact(type, values.stream().map(function::applyAsDouble).toList()));
  }

  /** The number of elements of a shape. */
  static long count(List<Long> dims) {
    long count = 1;
    for (long dim : dims) {
      if (dim == 0) {
        return 0;
      }
    }
    try {
      for (long dim : dims) {
        count = Math.multiplyExact(count, dim);
      }
      return count;
    } catch (ArithmeticException e) {
      throw tooLarge(dims);
    }
  }

  /**
   * Computed values as a runtime has them, or null if they would be rounded or wrap around.
   *
   * @param type of the result
   */
  static @Nullable List<Double> exact(int type, List<Double> computed) {
    for (double value : computed) {
      if (Double.isNaN(value) || Math.abs(value) > (type == INT32 ? 0x1p31 - 1 : MAX_EXACT)) {
        return null;
      }
    }
    return switch (type) {
      case FLOAT -> computed.stream().map(value -> (double) (float) (double) value).toList();
      case INT32, INT64, DOUBLE, BOOL -> computed;
      default -> null;
    };
  }

  private static GraphException tooLarge(List<Long> dims) {
    return new GraphException("has the shape %s, more elements than any memory holds", dims);
  }
}
