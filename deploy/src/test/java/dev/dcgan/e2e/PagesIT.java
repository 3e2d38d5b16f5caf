package dev.dcgan.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.browser.Browser;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests the pages of both programs together, in a browser. */
class PagesIT {

  private static final Path TRAINER = Path.of("../trainer/target/trainer/bin/trainer");
  private static final Path SAMPLER = Path.of("../sampler/target/sampler/bin/sampler");

  @TempDir private Path folder;

  @Test
  void whatTheDashboardPublishes_theGalleryShows() throws Exception {
    try (Browser gallery = Browser.start();
        Browser dashboard = Browser.start();
        Program sampler = start(SAMPLER, "serve", "--poll=200ms");
        Program trainer = start(TRAINER, "serve", "--http-address=127.0.0.1", "--device=cpu")) {
      gallery.open(page(sampler));
      gallery.await("document.getElementById('status').textContent.includes('No model')");

      dashboard.open(page(trainer) + "start.html");
      dashboard.await("document.querySelector('#field-width')");
      dashboard.click("#more summary");
      dashboard.fill("#field-images", "320");
      dashboard.fill("#field-epochs", "1");
      dashboard.fill("#field-width", "4");
      dashboard.fill("#field-publish", "never");
      dashboard.click("#submit");
      trainer.awaitLine("trained to step");
      dashboard.await("document.querySelector('#state')?.textContent === 'succeeded'");
      dashboard.await("document.querySelector('#checkpoints input')");
      dashboard.fill("#checkpoints input", "shown");
      dashboard.press("\uE007"); // Enter
      dashboard.await("document.querySelector('#publishing').textContent === 'Published shown/1'");

      gallery.await("document.title.includes('shown/1')");
      gallery.await("document.querySelectorAll('#grid canvas').length > 0");
      assertThat(gallery.consoleErrors()).isEmpty();
      assertThat(dashboard.consoleErrors()).isEmpty();
    }
  }

  private Program start(Path program, String... options) throws Exception {
    List<String> command = new ArrayList<>(List.of(program.toAbsolutePath().toString()));
    command.addAll(List.of(options));
    command.addAll(List.of("--port=0", "--http-port=0"));
    return Program.start(folder, command);
  }

  private static String page(Program program) throws InterruptedException {
    Matcher port = program.awaitLine("gRPC on port \\d+.* http://(?:localhost|127.0.0.1):(\\d+)");
    return "http://127.0.0.1:" + port.group(1) + "/";
  }
}
