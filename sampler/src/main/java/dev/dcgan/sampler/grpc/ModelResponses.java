package dev.dcgan.sampler.grpc;

import dev.dcgan.sampler.models.ModelStatus;
import dev.dcgan.v1.ListModelsResponse;
import dev.dcgan.v1.ServedModel;
import java.util.List;

/** What is known of models, on the wire. */
final class ModelResponses {

  private ModelResponses() {}

  /** Without the golden vectors where they would make it larger than clients receive. */
  static ListModelsResponse of(List<ModelStatus> models, int maxBytes) {
    ListModelsResponse.Builder answer =
        ListModelsResponse.newBuilder()
            .addAllModels(models.stream().map(ModelResponses::of).toList());
    if (answer.build().getSerializedSize() > maxBytes) {
      answer.getModelsBuilderList().forEach(model -> model.getManifestBuilder().clearGolden());
    }
    return answer.build();
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
