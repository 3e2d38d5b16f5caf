package dev.dcgan.trainer.eval;

import ai.djl.ndarray.NDArray;
import dev.dcgan.model.Sha256;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.torch.SafetensorsFile;
import dev.dcgan.trainer.torch.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The cached weights of a dataset's classifier. */
final class ClassifierFile {

  private static final Logger log = LoggerFactory.getLogger(ClassifierFile.class);
  private static final SafetensorsFile FORMAT = new SafetensorsFile("classifier", 1);
  private static final String LABELS = "labels_sha256";

  private final Path path;
  private final ImageDataset data;
  private final String labelsDigest;

  /** The file of a dataset in the folder {@code cache}; it need not exist yet. */
  ClassifierFile(Path cache, ImageDataset data) throws IOException {
    path = cache.resolve("%s-%d.safetensors".formatted(data.sha256(), FORMAT.version()));
    this.data = data;
    labelsDigest = labelsDigest(data);
  }

  Path path() {
    return path;
  }

  /** Reads the weights; returns whether the file exists and fits the network and the labels. */
  boolean restore(ClassifierNetwork network) {
    if (!Files.exists(path)) {
      return false;
    }
    try {
      SafetensorsFile.Content content = FORMAT.read(path);
      if (!labelsDigest.equals(content.metadata().get(LABELS))) {
        log.warn("{} has other labels for the same images: training a new classifier", path);
        return false;
      }
      assign(network, content.tensors());
      return true;
    } catch (IOException e) {
      log.warn("{}: training a new classifier", e.getMessage());
      return false;
    }
  }

  private void assign(ClassifierNetwork network, Map<String, Tensor> tensors) throws IOException {
    for (Map.Entry<String, NDArray> entry : network.arrays().entrySet()) {
      Tensor tensor = tensors.get(entry.getKey());
      NDArray array = entry.getValue();
      if (tensor == null || !tensor.fits(array)) {
        throw new IOException(
            "cannot use %s: it has no %s of shape %s"
                .formatted(path, entry.getKey(), array.getShape()));
      }
      tensor.copyTo(array);
    }
  }

  /** Writes the weights. If that fails (a full disk), the classifier is trained again next time. */
  void save(ClassifierNetwork network) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    network.arrays().forEach((name, array) -> tensors.put(name, Tensor.of(array)));
    Map<String, String> metadata = Map.of("dataset", data.name(), LABELS, labelsDigest);
    try {
      Files.createDirectories(path.toAbsolutePath().getParent());
      FORMAT.write(path, new SafetensorsFile.Content(metadata, tensors));
    } catch (IOException e) {
      log.warn("cannot save the classifier in {}: {}", path, e.toString());
    }
  }

  /** The dataset's own digest covers its pixels only. */
  private static String labelsDigest(ImageDataset data) {
    ByteBuffer labels = ByteBuffer.allocate(data.size() * Integer.BYTES + Integer.BYTES);
    labels.putInt(data.classes());
    for (int i = 0; i < data.size(); i++) {
      labels.putInt(data.label(i));
    }
    return new Sha256().add(labels.flip()).hex();
  }
}
