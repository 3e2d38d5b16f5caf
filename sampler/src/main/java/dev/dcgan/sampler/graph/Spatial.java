package dev.dcgan.sampler.graph;

import dev.dcgan.sampler.graph.Node.Attribute;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The shapes of operators that work on images: (n, channels, height, width) or other ranks. */
final class Spatial {

  private static final long MAX_SIDE = 1 << 20;

  private Spatial() {}

  /** The kernel of a convolution or pooling along one dimension, and how it moves. */
  private record Window(long size, long stride, long dilation, long pads, boolean same) {

    long extent() {
      return (size - 1) * dilation + 1;
    }
  }

  static List<Tensor> convolution(NodeInputs in) {
    List<Long> x = images(in.input(0));
    List<Long> weight = in.input(1).dims();
    requireRank(x, weight);
    List<Long> dims = new ArrayList<>(List.of(x.get(0), weight.get(0)));
    for (int i = 2; i < x.size(); i++) {
      Window window = window(in, i - 2, x.size() - 2, weight.get(i));
      dims.add(moved(x.get(i), window, false));
    }
    return Operators.shaped(in, dims, in.input(0).type());
  }

  static List<Tensor> transposedConvolution(NodeInputs in) {
    List<Long> x = images(in.input(0));
    List<Long> weight = in.input(1).dims();
    requireRank(x, weight);
    int spatial = x.size() - 2;
    Attribute shape = in.attribute("output_shape");
    List<Long> dims = new ArrayList<>();
    dims.add(x.get(0));
    dims.add(Math.multiplyExact((long) weight.get(1), in.number("group", 1)));
    for (int i = 0; i < spatial; i++) {
      Window window = window(in, i, spatial, weight.get(i + 2));
      if (shape != null && shape.numbers().size() >= spatial) {
        dims.add(shape.numbers().get(shape.numbers().size() - spatial + i));
      } else if (window.same()) {
        dims.add(x.get(i + 2) * window.stride());
      } else {
        long more = element(in, "output_padding", i, 0);
        dims.add(
            Math.max(0, x.get(i + 2) - 1) * window.stride()
                + window.extent()
                + more
                - window.pads());
      }
    }
    return Operators.shaped(in, dims, in.input(0).type());
  }

  /** The bytes that a transposed convolution needs beside its values: one image's columns. */
  static long workspace(NodeInputs in) {
    if (!in.node().operator().equals("ConvTranspose")) {
      return 0;
    }
    Tensor x = in.input(0);
    Tensor weight = in.input(1);
    long image = Tensor.count(x.dims().subList(2, x.rank()));
    long taps = weight.elements() / Math.max(1, weight.dims().get(0));
    return Math.multiplyExact(Math.multiplyExact(image, taps), (long) Float.BYTES);
  }

  static List<Tensor> pool(NodeInputs in) {
    List<Long> x = images(in.input(0));
    List<Long> dims = new ArrayList<>(x.subList(0, 2));
    for (int i = 2; i < x.size(); i++) {
      Window window = window(in, i - 2, x.size() - 2, element(in, "kernel_shape", i - 2, 1));
      dims.add(moved(x.get(i), window, in.number("ceil_mode", 0) != 0));
    }
    return Operators.shaped(in, dims, in.input(0).type());
  }

  static List<Tensor> globalPool(NodeInputs in) {
    List<Long> dims = new ArrayList<>(images(in.input(0)));
    for (int i = 2; i < dims.size(); i++) {
      dims.set(i, 1L);
    }
    return Operators.shaped(in, dims, in.input(0).type());
  }

  /** Resize (x, roi, scales, sizes), or Resize and Upsample of older operator sets (x, scales). */
  static List<Tensor> resize(NodeInputs in) {
    Tensor x = in.input(0);
    if (!in.text("keep_aspect_ratio_policy", "stretch").equals("stretch")) {
      throw new GraphException("keeps the aspect ratio; expected the policy 'stretch'");
    }
    boolean older = in.inputs().size() <= 2;
    Tensor sizes = older ? null : in.optional(3);
    List<Long> axes = in.numbers("axes", 9);
    List<Double> scales = sizes != null ? List.of() : scales(in, older ? 1 : 2);
    List<Long> wanted = sizes != null ? in.numbers(3) : List.of();
    int count = sizes != null ? wanted.size() : scales.size();
    if (count != (axes == null ? x.rank() : axes.size())) {
      throw new GraphException(
          "has %d scales or sizes; expected one for each dimension of %s", count, x.dims());
    }
    List<Long> dims = new ArrayList<>(x.dims());
    for (int i = 0; i < count; i++) {
      int axis = axes == null ? i : NodeInputs.axis(axes.get(i), x.rank());
      dims.set(
          axis,
          sizes != null
              ? wanted.get(i)
              : (long) ((float) (double) scales.get(i) * (float) (long) x.dims().get(axis)));
    }
    return Operators.shaped(in, dims, x.type());
  }

  private static List<Double> scales(NodeInputs in, int input) {
    Attribute attribute = in.attribute("scales");
    return attribute == null ? in.values(input) : attribute.reals();
  }

  private static List<Long> images(Tensor x) {
    if (x.rank() < 3) {
      throw new GraphException("has an input of the shape %s; expected images", x.dims());
    }
    return x.dims();
  }

  private static void requireRank(List<Long> x, List<Long> weight) {
    if (x.size() != weight.size()) {
      throw new GraphException("has the input %s and the weight %s, which do not fit", x, weight);
    }
  }

  private static Window window(NodeInputs in, int i, int spatial, long size) {
    String auto = in.text("auto_pad", "NOTSET");
    long pads =
        auto.equals("VALID") ? 0 : element(in, "pads", i, 0) + element(in, "pads", spatial + i, 0);
    Window window =
        new Window(
            size,
            element(in, "strides", i, 1),
            element(in, "dilations", i, 1),
            pads,
            auto.startsWith("SAME"));
    for (long value : List.of(window.size(), window.stride(), window.dilation())) {
      if (value < 1 || value > MAX_SIDE) {
        throw new GraphException(
            "has the kernel size, stride or dilation %d; expected 1 to %d", value, MAX_SIDE);
      }
    }
    return window;
  }

  /** How often a window fits along a dimension. */
  private static long moved(long size, Window window, boolean roundUp) {
    if (window.same()) {
      return (size + window.stride() - 1) / window.stride();
    }
    long free = size + window.pads() - window.extent();
    return Math.floorDiv(roundUp ? free + window.stride() - 1 : free, window.stride()) + 1;
  }

  private static long element(NodeInputs in, String attribute, int i, long other) {
    @Nullable Attribute found = in.attribute(attribute);
    if (found == null || i >= found.numbers().size()) {
      return other;
    }
    long value = found.numbers().get(i);
    if (Math.abs(value) > MAX_SIDE || value == Long.MIN_VALUE) {
      throw new GraphException("has %s of %d; expected at most %d", attribute, value, MAX_SIDE);
    }
    return value;
  }
}
