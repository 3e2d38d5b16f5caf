package dev.dcgan.sampler.grpc;

import dev.dcgan.sampler.models.ModelStatus;
import dev.dcgan.v1.ListModelsResponse;
import dev.dcgan.v1.ServedModel;
import java.util.List;

/** The status of models, on the wire. */
final class ModelResponses {

  private ModelResponses() {}

  /** Leaves the golden vectors out if the response would exceed {@code maxBytes} with them. */
  static ListModelsResponse of(List<ModelStatus> models, int maxBytes) {
    ListModelsResponse.Builder response =
        ListModelsResponse.newBuilder()
            .addAllModels(models.stream().map(ModelResponses::of).toList());
    if (response.build().getSerializedSize() > maxBytes) {
      response.getModelsBuilderList().forEach(model -> model.getManifestBuilder().clearGolden());
    }
    return response.build();
  }

  static ServedModel of(ModelStatus status) {
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
