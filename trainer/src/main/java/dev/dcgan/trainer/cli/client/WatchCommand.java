package dev.dcgan.trainer.cli.client;

import com.google.protobuf.util.Timestamps;
import dev.dcgan.model.AtomicFiles;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code trainer watch}: shows the events of a run. */
@Command(
    name = "watch",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Shows the events of a run of a service, from the first until the run ends.",
      "The exit code is 1 if the run FAILED, also after its last attempt, and 0 if it SUCCEEDED or"
          + " was STOPPED on request."
    })
public final class WatchCommand implements Settings.Command {

  // It must not lead out of the folder.
  private static final Pattern SAMPLES = Pattern.compile("epoch-[0-9]+\\.png");
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss").withZone(ZoneId.systemDefault());

  @Option(
      names = "--images",
      paramLabel = "DIR",
      description = "Folder to write the run's sample grids to.")
  private @Nullable Path images;

  @Mixin private ServiceOptions service = new ServiceOptions();

  private final PrintStream console = System.out;

  @Override
  public void check(Validator problems) {
    service.check(problems);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    try (TrainerClient client = service.client()) {
      int epochs = client.run(service.run()).getConfig().getEpochs();
      client.watch(
          service.run(),
          event -> {
            show(event, epochs);
            if (images != null && event.hasSamplesSaved()) {
              save(client, event.getSamplesSaved().getName(), images);
            }
          });
      // Not that of the last event, which is missing if the disk was full.
      return client.run(service.run()).getState() == RunState.RUN_STATE_FAILED ? 1 : 0;
    }
  }

  private void save(TrainerClient client, String name, Path folder) throws IOException {
    if (!SAMPLES.matcher(name).matches()) {
      throw new IOException(
          "cannot write the sample grid '%s': expected a name such as epoch-001.png"
              .formatted(name));
    }
    byte[] png = client.samples(service.run(), name);
    AtomicFiles.replace(AtomicFiles.createFolder(folder).resolve(name), ByteBuffer.wrap(png));
  }

  private void show(RunEvent event, int epochs) {
    Instant time = Instant.ofEpochMilli(Timestamps.toMillis(event.getTime()));
    RunLines.line(event, epochs)
        .ifPresent(line -> console.println(TIME.format(time) + "  " + line));
  }
}
