package dev.dcgan.sampler.core;

import dev.dcgan.model.RepositorySurvey.Skipped;
import dev.dcgan.sampler.models.ModelStatus;
import dev.dcgan.v1.ListModelsResponse;
import dev.dcgan.v1.ServedModel;
import dev.dcgan.v1.SkippedPath;
import java.util.List;

/** The status of models, as messages. */
public final class ModelResponses {

  private static final int MAX_SKIPPED = 100;

  private ModelResponses() {}

  /** Leaves the golden vectors out if the response would exceed {@code maxBytes} with them. */
  public static ListModelsResponse of(
      List<ModelStatus> models, List<Skipped> skipped, int maxBytes) {
    ListModelsResponse.Builder response =
        ListModelsResponse.newBuilder()
            .addAllModels(models.stream().map(ModelResponses::of).toList())
            .addAllSkipped(skipped.stream().limit(MAX_SKIPPED).map(ModelResponses::of).toList())
            .setSkippedTotal(skipped.size());
    if (response.build().getSerializedSize() > maxBytes) {
      response.getModelsBuilderList().forEach(model -> model.getManifestBuilder().clearGolden());
    }
    return response.build();
  }

  private static SkippedPath of(Skipped skipped) {
    return SkippedPath.newBuilder()
        .setPath(skipped.path().toString().replaceAll("\\p{Cntrl}", "?"))
        .setReason(skipped.reason())
        .build();
  }

  public static ServedModel of(ModelStatus status) {
    return ServedModel.newBuilder()
        .setManifest(status.manifest())
        .setProvider(status.provider().toString())
        .setServingVersion(status.serving())
        .setPinnedVersion(status.pinned())
        .addAllAvailableVersions(status.available())
        .setUnverified(status.unverified())
        .build();
  }
}
