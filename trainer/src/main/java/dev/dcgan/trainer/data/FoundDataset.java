package dev.dcgan.trainer.data;

import dev.dcgan.trainer.data.source.IgnoredFiles;
import dev.dcgan.trainer.data.source.ImageSource;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A dataset on disk, not yet decoded.
 *
 * @param name the dataset's name in manifests
 * @param test the dataset's own test split; null if it has none
 * @param heldOutFrom the file or folder of the test split; empty without one
 * @param ignored the files that are not used
 * @param notes what else a user should know, each in a few words
 */
record FoundDataset(
    String name,
    ImageSource training,
    @Nullable ImageSource test,
    String heldOutFrom,
    IgnoredFiles ignored,
    List<String> notes) {}
