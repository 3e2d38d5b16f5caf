package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.browser.Browser;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.server.AccessConfig;
import dev.dcgan.server.GrpcLimits;
import dev.dcgan.trainer.metrics.TrainerMetrics;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.service.FakeTrainer.Session;
import dev.dcgan.trainer.session.TrainingSession;
import dev.dcgan.v1.RunEvent;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.concurrent.TimeUnit;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The dashboard in a browser. */
@Timeout(value = 3, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class DashboardTest {

  private static final Duration GRACE = Duration.ofSeconds(30);
  private static final String TAB = "\uE004";
  private static final String SPACE = " ";
  private static final String LEFT = "\uE012";
  private static final String ENTER = "\uE007";

  private static Browser browser;

  @TempDir private Path folder;

  private final FakeTrainer trainer = new FakeTrainer();
  private TrainerServer server;
  private String origin;

  @BeforeAll
  static void open() throws IOException {
    browser = Browser.start();
  }

  @AfterAll
  static void close() {
    if (browser != null) { // Null: it is absent, and the tests are skipped.
      browser.close();
    }
  }

  @BeforeEach
  void serveFake() throws IOException {
    serve(
        trainer,
        new CheckpointPublisher(new FakePublishTarget(), () -> {}),
        new PrometheusRegistry());
  }

  /** No page has errors, asks another server for anything, or is hard to use. */
  @AfterEach
  void end() throws Exception {
    try {
      assertThat(browser.consoleErrors()).isEmpty();
      assertThat(browser.requests()).allSatisfy(url -> assertThat(url).startsWith("http://127."));
    } finally {
      server.drain(GRACE);
    }
  }

  @Test
  void aRun_isStartedAndFollowed_toItsEnd() throws Exception {
    Path models = Files.createDirectory(folder.resolve("models"));
    ModelRepository repository = new ModelRepository(models);
    PrometheusRegistry registry = new PrometheusRegistry();
    TrainerMetrics metrics = new TrainerMetrics(registry, InstantSource.system());
    TrainingSession session =
        new TrainingSession(repository, folder, RunStore.cache(folder), metrics, false);
    server.drain(GRACE);
    serve(session::train, new CheckpointPublisher(repository, metrics::published), registry);

    browser.open(origin + "/start.html");
    browser.await("document.querySelector('#field-width')");
    browser.click("#more summary");
    browser.script("document.querySelector('#field-preset').value = 'mnist28-fast'");
    browser.fill("#field-images", "320");
    browser.fill("#field-epochs", "4");
    browser.fill("#field-width", "8");
    browser.fill("#field-evaluate_every", "2");
    browser.fill("#field-evaluation_images", "100");
    browser.fill("#field-publish", "never");
    browser.click("#submit");
    browser.await("document.querySelector('#grid')?.complete && Number(slider.max) >= 1");
    String page = browser.text("location.href");

    try (Browser other = Browser.start()) {
      other.open(page);
      browser.open(page); // A reload in the middle.
      for (Browser viewer : new Browser[] {browser, other}) {
        viewer.await("document.querySelector('#state').textContent === 'succeeded'");
        viewer.await("slider.max === '4' && slider.value === '4'");
        assertThat(viewer.text("document.querySelector('#epoch').textContent"))
            .isEqualTo("epoch 4 of 4");
        assertThat(viewer.text("document.querySelectorAll('canvas').length")).isEqualTo("4");
      }
    }
    assertThat(browser.seriousFindings()).isEmpty();
    browser.click("section[aria-label^=Fréchet] summary");
    browser.await(
        "document.querySelectorAll('section[aria-label^=Fréchet] details tbody tr').length === 2");

    browser.script("slider.focus()");
    browser.press(LEFT, LEFT);
    browser.await("document.querySelector('#grid').src.endsWith('epoch-002.png')");
    browser.await("document.querySelector('#grid').naturalWidth > 0");

    browser.fill("#checkpoints input", "shown");
    browser.press(ENTER);
    browser.await("document.querySelector('#publishing').textContent === 'Published shown/1'");
    assertThat(repository.open("shown", 1).manifest().getOrigin().getRunId())
        .isEqualTo(page.replaceFirst(".*run=", ""));
  }

  @Test
  void invalidSettings_areShownAtTheirFields() throws Exception {
    browser.open(origin + "/start.html");
    browser.await("document.querySelector('#field-width')");
    browser.fill("#field-epochs", "many");
    browser.press(ENTER);

    browser.await("document.querySelector('#field-epochs-problem').hidden === false");
    assertThat(browser.text("document.activeElement.id")).isEqualTo("field-epochs");
    assertThat(browser.text("document.querySelector('#field-epochs').ariaInvalid"))
        .isEqualTo("true");
    browser.fill("#field-epochs", "2");
    browser.script("document.querySelector('#field-width').value = '1'");
    browser.press(ENTER);
    browser.await(
        "document.querySelector('#field-width-problem').textContent.includes('expected')");
    assertThat(browser.text("document.querySelector('#field-epochs-problem').hidden"))
        .isEqualTo("true");
    assertThat(browser.text("document.querySelector('#more').open")).isEqualTo("true");
    assertThat(browser.seriousFindings()).isEmpty();
    // The browser reports what the server refused, which is no fault of the page.
    assertThat(browser.consoleErrors()).allSatisfy(line -> assertThat(line).contains("400"));
    assertThat(trainer.isIdle()).isTrue();
  }

  @Test
  void runs_areListed_chosenAndCompared_byKeyboard() throws Exception {
    Session first = trained("{\"epochs\":2,\"model\":\"a\"}", 2);
    Session second = trained("{\"epochs\":3,\"model\":\"b\"}", 1);
    browser.open(origin + "/");
    browser.await("document.querySelectorAll('.run').length === 2");
    browser.await("document.querySelector('img.thumbnail').naturalWidth > 0");
    assertThat(browser.text("document.querySelector('.name').textContent")).isEqualTo(second.id());
    assertThat(browser.seriousFindings()).isEmpty();

    browser.press(TAB); // Compare is disabled.
    assertThat(browser.text("document.activeElement.id")).isEqualTo("start");
    browser.press(TAB, TAB, SPACE, TAB, TAB, SPACE);
    browser.await("!document.querySelector('#compare').disabled");
    browser.click("#compare");
    browser.await("document.querySelectorAll('canvas').length >= 2");
    browser.await("slider.max === '2'");
    assertThat(browser.text("document.querySelector('#name-a').textContent"))
        .isEqualTo("A: %s, epoch 1".formatted(second.id()));
    assertThat(browser.text("document.querySelector('#name-b').textContent"))
        .isEqualTo("B: %s, epoch 2".formatted(first.id()));
    assertThat(browser.text("document.querySelector('#settings').innerText"))
        .contains("Epochs\t3\t2", "Model\tb\ta");
    browser.script("slider.focus()");
    browser.press(LEFT, LEFT);
    browser.await("document.querySelector('#grid-b').src.endsWith('epoch-000.png')");
    assertThat(browser.seriousFindings()).isEmpty();
  }

  @Test
  void aRun_isStopped_andResumed_onAPhone() throws Exception {
    Session session = started("{\"epochs\":2}");
    browser.resize(390, 844);
    browser.prefer("dark");
    browser.open(origin + "/run.html?run=" + session.id());
    browser.await("!document.querySelector('#stop').hidden");
    assertThat(browser.text("document.documentElement.scrollWidth")).isEqualTo("390");
    assertThat(browser.seriousFindings()).isEmpty();
    browser.click("#stop");
    browser.await("document.querySelector('#state').textContent === 'stopped'");

    browser.fill("#epochs", "5");
    browser.press(ENTER);

    assertThat(trainer.next().config.hyperparameters().epochs()).isEqualTo(5);
    browser.await("document.querySelector('#state').textContent === 'running'");
    browser.resize(1280, 900);
    browser.prefer("light");
  }

  private void serve(
      RunManager.Trainer training, CheckpointPublisher publisher, PrometheusRegistry registry)
      throws IOException {
    server =
        TrainerServer.start(
            new TrainerServer.Config(
                folder,
                folder,
                "cpu",
                10,
                0,
                0,
                null,
                GrpcLimits.DEFAULT,
                InetAddress.getLoopbackAddress(),
                false,
                RunLimits.DEFAULT,
                AccessConfig.OPEN),
            training,
            publisher,
            registry,
            failed -> {});
    origin = "http://127.0.0.1:" + server.httpPort();
  }

  private Session started(String config) throws Exception {
    HttpResponse<String> run =
        HttpClient.newHttpClient()
            .send(
                HttpRequest.newBuilder(URI.create(origin + "/v1/runs"))
                    .header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString("{\"config\":" + config + "}"))
                    .build(),
                HttpResponse.BodyHandlers.ofString());
    assertThat(run.statusCode()).as(run.body()).isEqualTo(200);
    return trainer.next();
  }

  /** A run with the events and sample grids of some epochs, which has succeeded. */
  private Session trained(String config, int epochs) throws Exception {
    Session session = started(config);
    for (int epoch = 0; epoch <= epochs; epoch++) {
      Path file = session.record.folder().samples(epoch);
      ImageIO.write(new BufferedImage(40, 40, BufferedImage.TYPE_INT_RGB), "png", file.toFile());
      RunEvent.Builder samples = RunEvent.newBuilder();
      samples.getSamplesSavedBuilder().setEpoch(epoch).setName(String.valueOf(file.getFileName()));
      session.record.event(samples);
      RunEvent.Builder means = RunEvent.newBuilder();
      means.getEpochCompletedBuilder().getMetricsBuilder().setEpoch(epoch).setStep(epoch);
      session.record.event(means);
    }
    session.record.update(run -> run.setSamples("epoch-000.png"));
    session.succeed();
    return session;
  }
}
