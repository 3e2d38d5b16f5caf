package dev.dcgan.sampler.graph;

import dev.dcgan.sampler.graph.Node.Attribute;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * The operators of ONNX that a generator may have, and the shapes of their outputs: feed-forward
 * operators, as PyTorch, Keras and tf2onnx export them. Values are computed too where shapes follow
 * from them, as in Reshape(x, Concat(Shape(x)[0], 100)).
 */
final class Operators {

  /** The outputs of a node; a single one stands for all that the node declares. */
  interface Rule {
    List<Tensor> outputs(NodeInputs in);
  }

  private static final Map<String, Rule> RULES = new HashMap<>();

  static {
    for (String operator :
        List.of(
            "BatchNormalization",
            "BitwiseNot",
            "Celu",
            "Clip",
            "CumSum",
            "Dropout",
            "Elu",
            "Erf",
            "Exp",
            "Gelu",
            "GroupNormalization",
            "HardSigmoid",
            "HardSwish",
            "Hardmax",
            "InstanceNormalization",
            "LRN",
            "LayerNormalization",
            "LeakyRelu",
            "Log",
            "LogSoftmax",
            "LpNormalization",
            "MeanVarianceNormalization",
            "Mish",
            "PRelu",
            "RMSNormalization",
            "RandomNormalLike",
            "RandomUniformLike",
            "Reciprocal",
            "Relu",
            "ScatterElements",
            "ScatterND",
            "Selu",
            "Shrink",
            "Sigmoid",
            "Sign",
            "Softmax",
            "Softplus",
            "Softsign",
            "Swish",
            "Tanh",
            "ThresholdedRelu",
            "Trilu",
            "Sin",
            "Cos",
            "Tan",
            "Asin",
            "Acos",
            "Atan",
            "Sinh",
            "Cosh",
            "Asinh",
            "Acosh",
            "Atanh")) {
      RULES.put(operator, in -> shaped(in, in.input(0).dims(), in.input(0).type()));
    }
    unary("Identity", x -> x);
    unary("Abs", Math::abs);
    unary("Ceil", Math::ceil);
    unary("Floor", Math::floor);
    unary("Neg", x -> -x);
    unary("Not", x -> x == 0 ? 1 : 0);
    unary("Round", Math::rint);
    unary("Sqrt", Math::sqrt);
    binary("Add", Double::sum);
    binary("Sub", (a, b) -> a - b);
    binary("Mul", (a, b) -> a * b);
    binary("Max", Math::max);
    binary("Min", Math::min);
    binary("Pow", Math::pow);
    RULES.put("Div", in -> arithmetic(in, in.input(0).type(), division(in)));
    for (String operator :
        List.of("BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Mean", "Mod", "Sum")) {
      RULES.put(operator, in -> arithmetic(in, in.input(0).type(), (a, b) -> Double.NaN));
    }
    logical("And", (a, b) -> a != 0 && b != 0 ? 1 : 0);
    logical("Or", (a, b) -> a != 0 || b != 0 ? 1 : 0);
    logical("Xor", (a, b) -> (a != 0) != (b != 0) ? 1 : 0);
    logical("Equal", (a, b) -> a == b ? 1 : 0);
    logical("Greater", (a, b) -> a > b ? 1 : 0);
    logical("GreaterOrEqual", (a, b) -> a >= b ? 1 : 0);
    logical("Less", (a, b) -> a < b ? 1 : 0);
    logical("LessOrEqual", (a, b) -> a <= b ? 1 : 0);
    RULES.put("IsInf", in -> shaped(in, in.input(0).dims(), Tensor.BOOL));
    RULES.put("IsNaN", in -> shaped(in, in.input(0).dims(), Tensor.BOOL));
    RULES.put("QuantizeLinear", in -> shaped(in, in.input(0).dims(), Tensor.UINT8));
    RULES.put("DequantizeLinear", in -> shaped(in, in.input(0).dims(), Tensor.FLOAT));
    RULES.put("Cast", in -> cast(in, (int) in.number("to", 0)));
    RULES.put("CastLike", in -> cast(in, in.input(1).type()));
    RULES.put("Where", Operators::where);

    RULES.put("Constant", Operators::constant);
    RULES.put("ConstantOfShape", Operators::constantOfShape);
    RULES.put("Shape", Operators::shape);
    RULES.put("Size", in -> numbers(in, List.of(), List.of(in.input(0).elements())));
    RULES.put("Reshape", Operators::reshape);
    RULES.put("Flatten", Operators::flatten);
    RULES.put("Squeeze", Operators::squeeze);
    RULES.put("Unsqueeze", Operators::unsqueeze);
    RULES.put("Transpose", Operators::transpose);
    RULES.put("Concat", Operators::concat);
    RULES.put("Split", Operators::split);
    RULES.put("Slice", Operators::slice);
    RULES.put("Gather", Operators::gather);
    RULES.put("GatherElements", in -> shaped(in, in.input(1).dims(), in.input(0).type()));
    RULES.put("GatherND", Operators::gatherNd);
    RULES.put("Expand", Operators::expand);
    RULES.put("Tile", Operators::tile);
    RULES.put("Range", Operators::range);
    RULES.put("Pad", Operators::pad);
    RULES.put("OneHot", Operators::oneHot);
    RULES.put("EyeLike", in -> shaped(in, in.input(0).dims(), Tensor.DOUBLE)); // At most.
    RULES.put("DepthToSpace", in -> blocks(in, true));
    RULES.put("SpaceToDepth", in -> blocks(in, false));
    RULES.put("Resize", Spatial::resize);
    RULES.put("Upsample", Spatial::resize);

    RULES.put("Gemm", Operators::gemm);
    RULES.put("MatMul", Operators::matMul);
    RULES.put("Conv", Spatial::convolution);
    RULES.put("ConvTranspose", Spatial::transposedConvolution);
    for (String operator : List.of("AveragePool", "LpPool", "MaxPool")) {
      RULES.put(operator, Spatial::pool);
    }
    for (String operator : List.of("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool")) {
      RULES.put(operator, Spatial::globalPool);
    }
    for (String operator :
        List.of(
            "ReduceL1",
            "ReduceL2",
            "ReduceLogSum",
            "ReduceLogSumExp",
            "ReduceMean",
            "ReduceSumSquare")) {
      RULES.put(operator, in -> reduce(in, null));
    }
    RULES.put("ReduceMax", in -> reduce(in, Math::max));
    RULES.put("ReduceMin", in -> reduce(in, Math::min));
    RULES.put("ReduceProd", in -> reduce(in, (a, b) -> a * b));
    RULES.put("ReduceSum", in -> reduce(in, Double::sum));
    RULES.put("ArgMax", Operators::argument);
    RULES.put("ArgMin", Operators::argument);
  }

  private Operators() {}

  static boolean isAllowed(String operator) {
    return RULES.containsKey(operator);
  }

  /**
   * The outputs of a node, as many as it declares.
   *
   * @throws GraphException they cannot be determined
   */
  static List<Tensor> outputs(NodeInputs in) {
    Rule rule = RULES.get(in.node().operator());
    if (rule == null) {
      throw new GraphException("is not allowed");
    }
    List<Tensor> outputs = rule.outputs(in);
    int declared = in.node().outputs().size();
    return outputs.size() >= declared
        ? outputs
        : Collections.nCopies(declared, outputs.get(0)); // Statistics, masks: no larger.
  }

  /** One output of which only the shape is known. */
  static List<Tensor> shaped(NodeInputs in, List<Long> dims, int type) {
    return List.of(new Tensor(dims, type, in.isConstant()));
  }

  private static List<Tensor> numbers(NodeInputs in, List<Long> dims, List<Long> values) {
    return List.of(
        new Tensor(
            dims, Tensor.INT64, in.isConstant(), values.stream().map(Long::doubleValue).toList()));
  }

  private static void unary(String operator, DoubleUnaryOperator function) {
    RULES.put(operator, in -> List.of(in.input(0).map(function)));
  }

  private static void binary(String operator, DoubleBinaryOperator function) {
    RULES.put(operator, in -> arithmetic(in, in.input(0).type(), function));
  }

  private static void logical(String operator, DoubleBinaryOperator function) {
    RULES.put(operator, in -> arithmetic(in, Tensor.BOOL, function));
  }

  private static DoubleBinaryOperator division(NodeInputs in) {
    return in.input(0).isInteger()
        ? (a, b) -> b == 0 ? Double.NaN : (double) (long) (a / b)
        : (a, b) -> a / b;
  }

  /** Any number of inputs, broadcast to one shape. */
  private static List<Tensor> arithmetic(NodeInputs in, int type, DoubleBinaryOperator function) {
    Tensor result = in.input(0);
    if (in.inputs().size() == 1) {
      return List.of(new Tensor(result.dims(), type, result.constant()));
    }
    for (int i = 1; i < in.inputs().size(); i++) {
      Tensor a = result;
      Tensor b = in.input(i);
      List<Long> dims = broadcast(a.dims(), b.dims());
      result = new Tensor(dims, type, in.isConstant(), combined(type, dims, a, b, function));
    }
    return List.of(result);
  }

  private static @Nullable List<Double> combined(
      int type, List<Long> dims, Tensor a, Tensor b, DoubleBinaryOperator function) {
    List<Double> x = spread(a, dims);
    List<Double> y = spread(b, dims);
    if (x == null || y == null) {
      return null;
    }
    List<Double> values = new ArrayList<>();
    for (int i = 0; i < x.size(); i++) {
      values.add(function.applyAsDouble(x.get(i), y.get(i)));
    }
    return Tensor.exact(type, values);
  }

  /** The known values of a scalar, or of a tensor of that shape; null otherwise. */
  private static @Nullable List<Double> spread(Tensor tensor, List<Long> dims) {
    List<Double> values = tensor.values();
    long count = Tensor.count(dims);
    if (values == null || count > Tensor.MAX_VALUES) {
      return null;
    }
    return values.size() == 1
        ? Collections.nCopies((int) count, values.get(0))
        : values.size() == count ? values : null;
  }

  static List<Long> broadcast(List<Long> a, List<Long> b) {
    int rank = Math.max(a.size(), b.size());
    List<Long> dims = new ArrayList<>();
    for (int i = 0; i < rank; i++) {
      long x = i < rank - a.size() ? 1 : a.get(i - rank + a.size());
      long y = i < rank - b.size() ? 1 : b.get(i - rank + b.size());
      if (x != y && x != 1 && y != 1) {
        throw new GraphException("has inputs of the shapes %s and %s, which do not fit", a, b);
      }
      dims.add(x == 1 ? y : x);
    }
    return dims;
  }

  private static List<Tensor> cast(NodeInputs in, int type) {
    Tensor x = in.input(0);
    List<Double> values = x.values();
    if (values != null && type != Tensor.FLOAT && type != Tensor.DOUBLE) {
      values =
          values.stream()
              .map(
                  value ->
                      type == Tensor.BOOL
                          ? Double.valueOf(value == 0 ? 0 : 1)
                          : Double.valueOf((double) value.longValue()))
              .toList();
    }
    return List.of(
        new Tensor(
            x.dims(), type, in.isConstant(), values == null ? null : Tensor.exact(type, values)));
  }

  private static List<Tensor> where(NodeInputs in) {
    Tensor condition = in.input(0);
    Tensor a = in.input(1);
    Tensor b = in.input(2);
    List<Long> dims = broadcast(condition.dims(), broadcast(a.dims(), b.dims()));
    List<Double> choice = spread(condition, dims);
    List<Double> x = spread(a, dims);
    List<Double> y = spread(b, dims);
    List<Double> values = null;
    if (choice != null && x != null && y != null) {
      values = new ArrayList<>();
      for (int i = 0; i < choice.size(); i++) {
        values.add(choice.get(i) != 0 ? x.get(i) : y.get(i));
      }
    }
    return List.of(new Tensor(dims, a.type(), in.isConstant(), values));
  }

  private static List<Tensor> constant(NodeInputs in) {
    Map<String, Attribute> attributes = in.node().attributes();
    for (Map.Entry<String, Attribute> entry : attributes.entrySet()) {
      Attribute value = entry.getValue();
      List<Double> numbers = value.numbers().stream().map(Long::doubleValue).toList();
      switch (entry.getKey()) {
        case "value" -> {
          if (value.tensor() != null) {
            return List.of(value.tensor());
          }
        }
        case "value_float" -> {
          return List.of(new Tensor(List.of(), Tensor.FLOAT, true, List.of(value.real())));
        }
        case "value_int" -> {
          return List.of(
              new Tensor(List.of(), Tensor.INT64, true, List.of((double) value.number())));
        }
        case "value_floats" -> {
          return List.of(
              new Tensor(List.of((long) value.reals().size()), Tensor.FLOAT, true, value.reals()));
        }
        case "value_ints" -> {
          return List.of(new Tensor(List.of((long) numbers.size()), Tensor.INT64, true, numbers));
        }
        default -> {
          // Not a value that shapes may need.
        }
      }
    }
    throw new GraphException("has no numbers as its value");
  }

  private static List<Tensor> constantOfShape(NodeInputs in) {
    List<Long> dims = in.numbers(0);
    Attribute attribute = in.attribute("value");
    Tensor value = attribute == null ? null : attribute.tensor();
    int type = value == null ? Tensor.FLOAT : value.type();
    List<Double> one = value == null ? List.of(0.0) : value.values();
    Tensor shape = new Tensor(dims, type, in.isConstant());
    return one == null || one.size() != 1 || shape.elements() > Tensor.MAX_VALUES
        ? List.of(shape)
        : List.of(
            new Tensor(
                dims,
                type,
                in.isConstant(),
                Collections.nCopies((int) shape.elements(), one.get(0))));
  }

  /** The shape is constant only if the input is: the batch size differs from run to run. */
  private static List<Tensor> shape(NodeInputs in) {
    List<Long> dims = in.input(0).dims();
    int rank = dims.size();
    int start = clamp(in.number("start", 0), rank);
    int end = clamp(in.number("end", rank), rank);
    List<Long> part = start < end ? dims.subList(start, end) : List.of();
    return numbers(in, List.of((long) part.size()), part);
  }

  private static int clamp(long position, int size) {
    return (int) Math.max(0, Math.min(size, position < 0 ? position + size : position));
  }

  private static List<Tensor> reshape(NodeInputs in) {
    Tensor x = in.input(0);
    List<Long> wanted = in.numbers("shape", 1);
    if (wanted == null) {
      throw new GraphException("has no shape");
    }
    List<Long> dims = new ArrayList<>();
    int inferred = -1;
    for (int i = 0; i < wanted.size(); i++) {
      long dim = wanted.get(i);
      if (dim == 0 && in.number("allowzero", 0) == 0) {
        dim = x.dims().get(NodeInputs.axis(i, x.rank()));
      }
      if (dim == -1 && inferred < 0) {
        inferred = i;
        dim = 1;
      }
      dims.add(dim);
    }
    long known = new Tensor(dims, x.type(), true).elements();
    if (inferred >= 0) {
      dims.set(inferred, known == 0 ? 0 : x.elements() / known);
    }
    if (Tensor.count(dims) != x.elements()) {
      throw new GraphException("cannot give the shape %s the shape %s", x.dims(), wanted);
    }
    return List.of(x.withDims(dims));
  }

  private static List<Tensor> flatten(NodeInputs in) {
    Tensor x = in.input(0);
    long axis = in.number("axis", 1);
    int at = axis == x.rank() ? x.rank() : NodeInputs.axis(axis, x.rank());
    return List.of(
        x.withDims(
            List.of(
                Tensor.count(x.dims().subList(0, at)),
                Tensor.count(x.dims().subList(at, x.rank())))));
  }

  private static List<Tensor> squeeze(NodeInputs in) {
    Tensor x = in.input(0);
    List<Long> axes = in.numbers("axes", 1);
    List<Long> dims = new ArrayList<>(x.dims());
    if (axes == null) {
      dims.removeIf(dim -> dim == 1);
    } else {
      for (long axis : axes) {
        dims.set(NodeInputs.axis(axis, x.rank()), -1L);
      }
      dims.removeIf(dim -> dim == -1);
    }
    requireSameCount(x, dims);
    return List.of(x.withDims(dims));
  }

  private static List<Tensor> unsqueeze(NodeInputs in) {
    Tensor x = in.input(0);
    List<Long> axes = in.numbers("axes", 1);
    if (axes == null) {
      throw new GraphException("has no axes");
    }
    int rank = x.rank() + axes.size();
    boolean[] added = new boolean[rank];
    for (long axis : axes) {
      added[NodeInputs.axis(axis, rank)] = true;
    }
    List<Long> dims = new ArrayList<>();
    int next = 0;
    for (int i = 0; i < rank; i++) {
      if (!added[i] && next == x.rank()) {
        throw new GraphException("has the axes %s, of which one is given twice", axes);
      }
      dims.add(added[i] ? 1 : x.dims().get(next++));
    }
    return List.of(x.withDims(dims));
  }

  private static void requireSameCount(Tensor x, List<Long> dims) {
    if (Tensor.count(dims) != x.elements()) {
      throw new GraphException("cannot give the shape %s the shape %s", x.dims(), dims);
    }
  }

  private static List<Tensor> transpose(NodeInputs in) {
    Tensor x = in.input(0);
    List<Long> order = in.numbers("perm", 9);
    List<Long> dims = new ArrayList<>();
    for (int i = 0; i < x.rank(); i++) {
      dims.add(
          order == null
              ? x.dims().get(x.rank() - 1 - i)
              : x.dims().get(NodeInputs.axis(at(order, i), x.rank())));
    }
    requireSameCount(x, dims);
    return x.rank() < 2 ? List.of(x) : shaped(in, dims, x.type());
  }

  private static List<Tensor> concat(NodeInputs in) {
    Tensor first = in.input(0);
    int axis = NodeInputs.axis(in.number("axis", 1), first.rank());
    long sum = 0;
    List<Double> values = new ArrayList<>();
    boolean known = first.rank() == 1;
    for (int i = 0; i < in.inputs().size(); i++) {
      Tensor x = in.input(i);
      List<Long> dims = new ArrayList<>(x.dims());
      if (dims.size() != first.rank()) {
        throw new GraphException("has the inputs %s and %s, which do not fit", first.dims(), dims);
      }
      sum = Math.addExact(sum, dims.set(axis, first.dims().get(axis)));
      if (!dims.equals(first.dims())) {
        throw new GraphException(
            "has the inputs %s and %s, which do not fit", first.dims(), x.dims());
      }
      known &= x.values() != null;
      if (known && values.size() <= Tensor.MAX_VALUES && x.values() != null) {
        values.addAll(x.values());
      }
    }
    return List.of(
        new Tensor(
            with(first.dims(), axis, sum), first.type(), in.isConstant(), known ? values : null));
  }

  static List<Long> with(List<Long> dims, int axis, long dim) {
    List<Long> changed = new ArrayList<>(dims);
    changed.set(axis, dim);
    return changed;
  }

  private static List<Tensor> split(NodeInputs in) {
    Tensor x = in.input(0);
    int axis = NodeInputs.axis(in.number("axis", 0), x.rank());
    long size = x.dims().get(axis);
    int parts = in.node().outputs().size();
    List<Long> sizes = in.numbers("split", 1);
    if (sizes == null) {
      long each = (size + parts - 1) / Math.max(1, parts);
      sizes = new ArrayList<>();
      for (int i = 0; i < parts; i++) {
        sizes.add(Math.min(each, Math.max(0, size - i * each)));
      }
    }
    List<Tensor> outputs = new ArrayList<>();
    long at = 0;
    for (long part : sizes) {
      List<Double> values = x.values();
      long end = Math.addExact(at, part);
      if (part < 0 || end > size) {
        break;
      }
      outputs.add(
          new Tensor(
              with(x.dims(), axis, part),
              x.type(),
              in.isConstant(),
              values == null || x.rank() != 1 ? null : values.subList((int) at, (int) end)));
      at = end;
    }
    if (at != size || outputs.size() < parts) {
      throw new GraphException("has parts of %s; expected a sum of %d", sizes, size);
    }
    return outputs;
  }

  private static List<Tensor> slice(NodeInputs in) {
    Tensor x = in.input(0);
    List<Long> starts = in.numbers("starts", 1);
    List<Long> ends = in.numbers("ends", 2);
    List<Long> axes = in.numbers("axes", 3);
    List<Long> steps = in.numbers("steps", 4);
    if (starts == null || ends == null || starts.size() != ends.size()) {
      throw new GraphException("has no starts and ends, or not as many of both");
    }
    Tensor result = x;
    for (int i = 0; i < starts.size(); i++) {
      int axis = NodeInputs.axis(axes == null ? i : at(axes, i), x.rank());
      result = slice(result, axis, starts.get(i), ends.get(i), steps == null ? 1 : at(steps, i));
    }
    return List.of(new Tensor(result.dims(), x.type(), in.isConstant(), result.values()));
  }

  private static long at(List<Long> numbers, int i) {
    if (i >= numbers.size()) {
      throw new GraphException("has %d numbers where more are expected", numbers.size());
    }
    return numbers.get(i);
  }

  private static Tensor slice(Tensor x, int axis, long start, long end, long step) {
    if (step == 0 || step == Long.MIN_VALUE) {
      throw new GraphException("has the step %d", step);
    }
    long size = x.dims().get(axis);
    long from = start < 0 ? start + size : start;
    long to = end < 0 ? end + size : end;
    from = step > 0 ? Math.max(0, Math.min(size, from)) : Math.max(0, Math.min(size - 1, from));
    to = step > 0 ? Math.max(0, Math.min(size, to)) : Math.max(-1, Math.min(size - 1, to));
    long distance = step > 0 ? to - from : from - to;
    long count = size == 0 || distance <= 0 ? 0 : (distance - 1) / Math.abs(step) + 1;
    List<Double> values = x.values();
    List<Double> taken = null;
    if (values != null && x.rank() == 1) {
      taken = new ArrayList<>();
      for (long i = 0; i < count; i++) {
        taken.add(values.get((int) (from + i * step)));
      }
    }
    return new Tensor(with(x.dims(), axis, count), x.type(), x.constant(), taken);
  }

  private static List<Tensor> gather(NodeInputs in) {
    Tensor x = in.input(0);
    Tensor indices = in.input(1);
    int axis = NodeInputs.axis(in.number("axis", 0), x.rank());
    List<Long> dims = new ArrayList<>(x.dims().subList(0, axis));
    dims.addAll(indices.dims());
    dims.addAll(x.dims().subList(axis + 1, x.rank()));
    List<Double> values = x.values();
    List<Double> at = indices.values();
    List<Double> taken = null;
    if (values != null && at != null && x.rank() == 1) {
      taken = new ArrayList<>();
      for (double index : at) {
        taken.add(values.get(NodeInputs.axis((long) index, values.size())));
      }
    }
    return List.of(new Tensor(dims, x.type(), in.isConstant(), taken));
  }

  private static List<Tensor> gatherNd(NodeInputs in) {
    List<Long> data = in.input(0).dims();
    List<Long> indices = in.input(1).dims();
    if (indices.isEmpty()) {
      throw new GraphException("has indices without a dimension");
    }
    int last = indices.size() - 1;
    long from = Math.addExact(in.number("batch_dims", 0), (long) indices.get(last));
    if (from < 0 || from > data.size()) {
      throw new GraphException("has indices of the shape %s into %s", indices, data);
    }
    List<Long> dims = new ArrayList<>(indices.subList(0, last));
    dims.addAll(data.subList((int) from, data.size()));
    return shaped(in, dims, in.input(0).type());
  }

  private static List<Tensor> expand(NodeInputs in) {
    Tensor x = in.input(0);
    List<Long> dims = broadcast(x.dims(), in.numbers(1));
    Tensor shape = new Tensor(dims, x.type(), in.isConstant());
    return List.of(new Tensor(dims, x.type(), in.isConstant(), spread(x, shape.dims())));
  }

  private static List<Tensor> tile(NodeInputs in) {
    Tensor x = in.input(0);
    List<Long> repeats = in.numbers(1);
    List<Long> dims = new ArrayList<>();
    for (int i = 0; i < x.rank(); i++) {
      dims.add(Math.multiplyExact((long) x.dims().get(i), at(repeats, i)));
    }
    Tensor shape = new Tensor(dims, x.type(), in.isConstant());
    List<Double> values = x.values();
    return values == null || values.size() != 1
        ? List.of(shape)
        : List.of(new Tensor(dims, x.type(), in.isConstant(), spread(x, dims)));
  }

  private static List<Tensor> range(NodeInputs in) {
    double start = scalar(in, 0);
    double step = scalar(in, 2);
    double count = Math.max(0, Math.ceil((scalar(in, 1) - start) / step));
    if (!(count < 0x1p53)) {
      throw new GraphException("has %s elements", count);
    }
    List<Double> values = new ArrayList<>();
    for (int i = 0; i < Math.min(count, Tensor.MAX_VALUES + 1); i++) {
      values.add(start + i * step);
    }
    int type = in.input(0).type();
    return List.of(
        new Tensor(List.of((long) count), type, in.isConstant(), Tensor.exact(type, values)));
  }

  private static double scalar(NodeInputs in, int i) {
    List<Double> values = in.values(i);
    if (values.size() != 1) {
      throw new GraphException("has %d values as input %d; expected one", values.size(), i);
    }
    return values.get(0);
  }

  private static List<Tensor> pad(NodeInputs in) {
    Tensor x = in.input(0);
    List<Long> pads = in.numbers("pads", 1);
    Tensor axesInput = in.optional(3);
    List<Long> axes = axesInput == null ? null : in.numbers(3);
    int count = axes == null ? x.rank() : axes.size();
    if (pads == null || pads.size() != 2 * count) {
      throw new GraphException("has no pads, or not two for each dimension of %s", x.dims());
    }
    List<Long> dims = new ArrayList<>(x.dims());
    for (int i = 0; i < count; i++) {
      int axis = axes == null ? i : NodeInputs.axis(axes.get(i), x.rank());
      dims.set(
          axis,
          Math.addExact(
              Math.addExact((long) dims.get(axis), (long) pads.get(i)),
              (long) pads.get(i + count)));
    }
    return shaped(in, dims, x.type());
  }

  private static List<Tensor> oneHot(NodeInputs in) {
    List<Long> indices = in.input(0).dims();
    int axis = NodeInputs.axis(in.number("axis", -1), indices.size() + 1);
    List<Long> dims = new ArrayList<>(indices);
    dims.add(axis, (long) scalar(in, 1));
    return shaped(in, dims, in.input(2).type());
  }

  private static List<Tensor> blocks(NodeInputs in, boolean toSpace) {
    List<Long> dims = in.input(0).dims();
    long side = in.number("blocksize", 0);
    if (dims.size() != 4 || side < 1 || side > 1024) {
      throw new GraphException("has the input %s and blocks of %d", dims, side);
    }
    List<Long> result =
        toSpace
            ? List.of(
                dims.get(0), dims.get(1) / (side * side), dims.get(2) * side, dims.get(3) * side)
            : List.of(
                dims.get(0), dims.get(1) * side * side, dims.get(2) / side, dims.get(3) / side);
    requireSameCount(in.input(0), result);
    return shaped(in, result, in.input(0).type());
  }

  private static List<Tensor> gemm(NodeInputs in) {
    List<Long> a = in.input(0).dims();
    List<Long> b = in.input(1).dims();
    if (a.size() != 2 || b.size() != 2) {
      throw new GraphException("has the inputs %s and %s; expected matrices", a, b);
    }
    return shaped(
        in,
        List.of(
            a.get(in.number("transA", 0) == 0 ? 0 : 1), b.get(in.number("transB", 0) == 0 ? 1 : 0)),
        in.input(0).type());
  }

  private static List<Tensor> matMul(NodeInputs in) {
    List<Long> a = in.input(0).dims();
    List<Long> b = in.input(1).dims();
    if (a.isEmpty() || b.isEmpty()) {
      throw new GraphException("has the inputs %s and %s; expected matrices", a, b);
    }
    int rowsEnd = Math.max(0, a.size() - 2);
    int columnsEnd = Math.max(0, b.size() - 2);
    List<Long> dims = new ArrayList<>(broadcast(a.subList(0, rowsEnd), b.subList(0, columnsEnd)));
    if (a.size() > 1) {
      dims.add(a.get(a.size() - 2));
    }
    if (b.size() > 1) {
      dims.add(b.get(b.size() - 1));
    }
    return shaped(in, dims, in.input(0).type());
  }

  private static List<Tensor> reduce(NodeInputs in, @Nullable DoubleBinaryOperator function) {
    Tensor x = in.input(0);
    List<Long> axes = in.numbers("axes", 1);
    boolean all = axes == null || axes.isEmpty();
    if (all && in.number("noop_with_empty_axes", 0) != 0) {
      return List.of(x);
    }
    boolean[] reduced = new boolean[x.rank()];
    for (int i = 0; i < (all ? x.rank() : axes == null ? 0 : axes.size()); i++) {
      reduced[all || axes == null ? i : NodeInputs.axis(axes.get(i), x.rank())] = true;
    }
    boolean keep = in.number("keepdims", 1) != 0;
    List<Long> dims = new ArrayList<>();
    for (int i = 0; i < x.rank(); i++) {
      if (!reduced[i]) {
        dims.add(x.dims().get(i));
      } else if (keep) {
        dims.add(1L);
      }
    }
    List<Double> values = x.values();
    if (function == null || values == null || values.isEmpty() || Tensor.count(dims) != 1) {
      return shaped(in, dims, x.type());
    }
    double result = values.stream().reduce(function::applyAsDouble).orElseThrow();
    return List.of(
        new Tensor(dims, x.type(), in.isConstant(), Tensor.exact(x.type(), List.of(result))));
  }

  private static List<Tensor> argument(NodeInputs in) {
    List<Long> dims = new ArrayList<>(in.input(0).dims());
    int axis = NodeInputs.axis(in.number("axis", 0), dims.size());
    if (in.number("keepdims", 1) != 0) {
      dims.set(axis, 1L);
    } else {
      dims.remove(axis);
    }
    return shaped(in, dims, Tensor.INT64);
  }
}
