package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.image.Bitmap;
import dev.dcgan.trainer.data.source.ImageSource;
import java.io.IOException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a look at a few images of a dataset says of all.
 *
 * @param shape the largest height and width of the images when cropped to squares, at most 64, and
 *     3 channels if one of them is RGB, otherwise 1
 * @param images the number of images, without those of a test split
 * @param classes 0 without labels
 * @param hasTestSplit whether the dataset has test images of its own; otherwise some of its images
 *     are held out
 */
public record DatasetSample(ImageShape shape, int images, int classes, boolean hasTestSplit) {

  private static final Logger log = LoggerFactory.getLogger(DatasetSample.class);

  // Spread over the files, so that a few grey photos among color ones do not decide.
  private static final int MAX_IMAGES = 8;
  private static final ImageShape LARGEST = new ImageShape(64, 64, 3);

  /**
   * The number of images to train on.
   *
   * @param heldOutFraction see {@link DatasetOptions}
   */
  public int trainingImages(double heldOutFraction) {
    int interval = hasTestSplit ? 0 : DatasetOptions.heldOutInterval(heldOutFraction);
    return interval > 0 ? images - images / interval : images;
  }

  /**
   * Looks at the training images of a dataset.
   *
   * @throws IOException if no image can be decoded
   */
  static DatasetSample of(FoundDataset found) throws IOException {
    ImageSource images = found.training();
    int interval = (images.size() + MAX_IMAGES - 1) / MAX_IMAGES;
    int height = 0;
    int width = 0;
    int channels = 0;
    for (int i = 0; i < images.size(); i++) {
      ImageSource.Encoded image = images.next();
      // Unreadable images are passed over: the next one may be readable.
      if (i % interval == 0 || channels == 0) {
        try {
          Bitmap bitmap = image.decode(LARGEST);
          height = Math.max(height, Math.min(bitmap.height(), LARGEST.height()));
          width = Math.max(width, Math.min(bitmap.width(), LARGEST.width()));
          channels = Math.max(channels, bitmap.channels());
        } catch (IOException e) {
          log.debug("cannot decode {}", image.location(), e);
        }
      }
    }
    if (channels == 0) {
      throw new IOException("no image can be decoded");
    }
    return new DatasetSample(
        new ImageShape(height, width, channels),
        images.size(),
        images.classes(),
        found.test() != null);
  }
}
