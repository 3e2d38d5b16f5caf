package dev.dcgan.trainer.torch;

import ai.djl.Device;
import ai.djl.engine.EngineException;
import ai.djl.util.cuda.CudaUtils;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The reason why a CUDA device cannot be used, with the remedy.
 *
 * @param found what is wrong, as a clause: {@code no NVIDIA driver found}
 * @param remedy what to do, as a clause: {@code install the driver}
 * @param cpuBuild whether the reason is that PyTorch's library was built without CUDA
 */
record CudaProblem(String found, String remedy, boolean cpuBuild) {

  private static final Logger log = LoggerFactory.getLogger(CudaProblem.class);
  private static final Pattern DRIVER_TOO_OLD =
      Pattern.compile("too old \\(found version (\\d+)\\)");
  private static final String CHECK_VISIBILITY =
      "check CUDA_VISIBLE_DEVICES and that the container has access to the GPU";

  /** Classifies PyTorch's error message. */
  static CudaProblem of(EngineException failure, Device cuda) {
    String message = String.valueOf(failure.getMessage());
    Matcher tooOld = DRIVER_TOO_OLD.matcher(message);
    // "Could not run 'aten::empty_strided' with arguments from the 'CUDA' backend."
    if (message.contains("from the 'CUDA' backend")
        || message.contains("not linked with support for cuda devices")) {
      return new CudaProblem(
          "this is the CPU build of PyTorch", "use the CUDA build (mvn -Pcuda package)", true);
    } else if (message.contains("Found no NVIDIA driver")) {
      return problem(
          "no NVIDIA driver found (libcuda.so.1)",
          "install the driver, or give the container access to the GPU");
    } else if (tooOld.find()) {
      int version = Integer.parseInt(tooOld.group(1));
      return problem(
          "the NVIDIA driver is too old (it supports CUDA %d.%d)"
              .formatted(version / 1000, version % 1000 / 10),
          "update the driver");
    } else if (message.contains("No CUDA GPUs are available")) {
      return problem("the NVIDIA driver reports no GPU", CHECK_VISIBILITY);
    } else if (message.contains("invalid device ordinal")) {
      return problem("there is no such GPU" + count(), CHECK_VISIBILITY);
    } else if (message.contains("no kernel image is available")) {
      return problem(
          "PyTorch's library has no machine code for this GPU" + capability(cuda),
          "set PYTORCH_LIBRARY_PATH to the folder torch/lib of PyTorch 2.7.1+cu128");
    }
    return problem(NativeFailureException.detail(message), "check the GPU with nvidia-smi");
  }

  private static CudaProblem problem(String found, String remedy) {
    return new CudaProblem(found, remedy, false);
  }

  /** The number of GPUs as a clause; empty if DJL does not find the CUDA runtime. */
  private static String count() {
    int gpus = CudaUtils.getGpuCount();
    return gpus == 0 ? "" : ", the number of GPUs is " + gpus;
  }

  /** {@code " (sm_120)"}; empty if DJL does not find the CUDA runtime. */
  private static String capability(Device cuda) {
    try {
      return " (sm_%s)".formatted(CudaUtils.getComputeCapability(cuda.getDeviceId()));
    } catch (RuntimeException e) {
      log.debug("cannot read the compute capability of {}", cuda, e);
      return "";
    }
  }
}
