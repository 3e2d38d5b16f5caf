package dev.dcgan.faults;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.v1.GetRunRequest;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import dev.dcgan.v1.StartRunRequest;
import dev.dcgan.v1.TrainerServiceGrpc;
import dev.dcgan.v1.TrainerServiceGrpc.TrainerServiceBlockingStub;
import dev.dcgan.v1.WatchRunRequest;
import io.grpc.Channel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;

/** Runs of a service, all with the settings {@link Programs#SMALL}: each trains the same model. */
final class TrainerRuns {

  private static final int EPOCHS = 15;

  private TrainerRuns() {}

  static TrainerServiceBlockingStub stub(Channel channel) {
    return TrainerServiceGrpc.newBlockingStub(channel);
  }

  /** Starts a run; the same id again returns the same run. */
  static Run start(Channel channel, String id) {
    return stub(channel)
        .startRun(
            StartRunRequest.newBuilder()
                .setRequestId(id)
                .setConfig(
                    RunConfig.newBuilder()
                        .setPreset("mnist28")
                        .setDataset("digits")
                        .setModel(id)
                        .setImages(200)
                        .setHeldOut(0.2f)
                        .setEpochs(EPOCHS)
                        .setWidth(4)
                        .setLatent(8)
                        .setBatchSize(20)
                        .setCheckpointEvery(4)
                        .setEvaluationImages(100))
                .build());
  }

  static Run get(Channel channel, String run) {
    return stub(channel).getRun(GetRunRequest.newBuilder().setRunId(run).build());
  }

  /** Waits until a run has succeeded. */
  static void awaitSuccess(Channel channel, String run) throws IOException, InterruptedException {
    Service.await(
        "end of run " + run,
        () -> get(channel, run).getStateValue() > RunState.RUN_STATE_RUNNING_VALUE);
    Run ended = get(channel, run);
    assertThat(ended.getState()).as(ended.getReason()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
  }

  /**
   * Requires that the model was published once, with these bytes, and that the events of the run
   * have every epoch once, besides those that a resume has made invalid.
   */
  static void requireComplete(Channel channel, Path repository, String run, byte[] model)
      throws IOException {
    Run ended = get(channel, run);
    String name = ended.getConfig().getModel();
    assertThat(Repositories.requireWhole(repository, name)).as(name).containsExactly(1L);
    Repositories.requireModel(repository, name, 1, model);
    assertThat(ended.getPublishedList()).hasSize(1);
    List<RunEvent> epochs = new ArrayList<>();
    Iterator<RunEvent> events =
        stub(channel).watchRun(WatchRunRequest.newBuilder().setRunId(run).build());
    while (events.hasNext()) {
      RunEvent event = events.next();
      if (event.hasResumed()) {
        long step = event.getResumed().getStep();
        epochs.removeIf(each -> each.getEpochCompleted().getMetrics().getStep() > step);
      }
      if (event.hasEpochCompleted()) {
        epochs.add(event);
      }
    }
    assertThat(epochs)
        .as("epochs of run " + run)
        .extracting(each -> each.getEpochCompleted().getMetrics().getEpoch())
        .containsExactlyElementsOf(IntStream.rangeClosed(1, EPOCHS).boxed().toList());
  }
}
