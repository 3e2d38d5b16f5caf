package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import com.google.protobuf.util.JsonFormat;
import dev.dcgan.browser.Browser;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.ModelWatcherConfig;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.GatedNetwork;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.GetLatentsResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ImagePoint;
import dev.dcgan.v1.InterpolateRequest;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The gallery in Chromium, in front of a sampler with real models. */
@Timeout(120)
class GalleryTest {

  private static final String TAB = "\uE004";
  private static final String ENTER = "\uE007";
  private static final String ESCAPE = "\uE00C";
  private static final String RIGHT = "\uE014";
  private static final String DOWN = "\uE015";
  private static final String END = "\uE010";
  private static final BatchingPolicy POLICY = new BatchingPolicy(32, Duration.ofMillis(2), 8192);
  private static final int FRAMES = 33;

  /** All images of the grid are there, and none is of what the page showed before. */
  private static final String LOADED =
      "document.querySelector('#grid canvas') && !document.querySelector('#grid.stale')";

  @TempDir private static Path root;

  private static Browser browser;
  private static SamplerServer sampler;
  private static ManagedChannel channel;
  private static SamplerServiceBlockingStub stub;

  @BeforeAll
  static void start() throws Exception {
    browser = Browser.start();
    ModelRepository repository = new ModelRepository(root);
    TestModels.publish(repository, "digits", 1, 1);
    TestModels.publish(repository, "digits", 1, 2);
    ConditionalModels.publish(repository, "pets", 1);
    sampler = serve(root);
    channel =
        Grpc.newChannelBuilder("127.0.0.1:" + sampler.port(), InsecureChannelCredentials.create())
            .build();
    stub = SamplerServiceGrpc.newBlockingStub(channel).withWaitForReady();
    browser.open(page(sampler, ""));
    browser.await(LOADED);
  }

  @AfterAll
  static void end() throws Exception {
    if (browser != null) {
      browser.close();
    }
    if (channel != null) {
      channel.shutdownNow();
    }
    if (sampler != null) {
      sampler.drain(Duration.ZERO, Duration.ofSeconds(30));
    }
  }

  @AfterEach
  void nothingLeavesTheOrigin() throws Exception {
    assertThat(browser.requests())
        .allSatisfy(url -> assertThat(url).startsWith("http://127.0.0.1:"));
    browser.resize(1280, 900);
    browser.prefer("light");
  }

  @Test
  void grid_hasThePixelsOfGenerate() throws Exception {
    open("?model=digits&seed=42&count=25");
    assertGrid(request("digits", 42, 25), 1);
    open("?model=digits&version=1&seed=18446744073709551615&count=3&temperature=0.5");
    assertGrid(request("digits", -1, 3).setVersion(1).setTemperature(0.5f), 1);
    open("?model=pets&seed=42&count=7");
    assertGrid(request("pets", 42, 7), 3);
    assertThat(browser.text("document.getElementById('serving').textContent"))
        .startsWith("pets/1 · 14 × 14 pixels · cpu");
    assertThat(browser.consoleErrors()).isEmpty();
  }

  @Test
  void address_isThePicture() throws Exception {
    open("");
    assertGrid(request("digits", 0, 25), 1);
    browser.fill("#seed", "7");
    browser.press(ENTER);
    browser.await("location.search.includes('seed=7') && " + LOADED);
    assertGrid(request("digits", 7, 25), 1);
    browser.click("#next");
    browser.await("document.title.startsWith('seed 8 ')");
    browser.click("#previous");
    browser.click("#previous");
    browser.await("document.title.startsWith('seed 6 ')");
    browser.fill("#count", "9");
    browser.fill("#columns", "3");
    browser.press(ENTER);
    browser.await("document.querySelectorAll('#grid canvas').length === 9 && " + LOADED);
    assertThat(browser.text("document.getElementById('grid').style.getPropertyValue('--columns')"))
        .isEqualTo("3");
    assertThat(browser.text("location.search")).isEqualTo("?seed=6&count=9&columns=3");
    String before = browser.text("location.href");
    browser.click("#random");
    browser.await("location.href !== '%s' && %s".formatted(before, LOADED));
    String random = browser.text("location.href");
    String pixels = pixels("#grid canvas", 8, 1);

    browser.script("history.back()");
    browser.await("document.title.startsWith('seed 6 ')");
    browser.open(random);
    browser.await(LOADED);
    assertThat(pixels("#grid canvas", 8, 1)).isEqualTo(pixels);
    assertThat(browser.consoleErrors()).isEmpty();
  }

  @Test
  void link_pinsTheVersion() throws Exception {
    browser.open(page(sampler, "?seed=5&count=2"));
    browser.await(LOADED);
    browser.script(
        """
        Object.defineProperty(navigator, 'clipboard',
          { value: { writeText: async text => { window.copied = text; } } })
        """);
    browser.click("#copy-link");
    browser.await("window.copied");
    assertThat(browser.text("window.copied"))
        .isEqualTo(page(sampler, "?model=digits&version=2&seed=5&count=2"));
    browser.click("#grid button");
    browser.click("#copy-call");
    browser.await("window.copied.startsWith('grpcurl')");
    assertThat(browser.consoleErrors()).isEmpty();
  }

  @Test
  void image_hasPermalinkCallsAndDownloads() throws Exception {
    open("?model=pets&seed=42&count=9&temperature=0.5&label=dog");
    browser.click("#grid li:nth-child(4) button");
    browser.await("document.getElementById('image').open");
    ByteString png = image().getPng(0);
    String permalink = browser.text("document.getElementById('permalink').value");
    assertThat(get(permalink)).isEqualTo(png);
    assertThat(permalink).contains("model=pets", "version=1", "label=dog", "first=3");
    for (int scale : List.of(4, 8)) {
      String link = "document.querySelector('#downloads [download$=\"-%dx.png\"]').href";
      assertThat(get(browser.text(link.formatted(scale))))
          .as("%d times", scale)
          .isEqualTo(stub.generate(imageRequest().setScale(scale).build()).getPng(0));
    }

    String grpcurl = browser.text("document.getElementById('call-text').textContent");
    assertThat(grpcurl).contains("-plaintext", "127.0.0.1:" + sampler.port());
    GenerateRequest.Builder exact = GenerateRequest.newBuilder();
    JsonFormat.parser()
        .merge(grpcurl.substring(grpcurl.indexOf('{'), grpcurl.lastIndexOf('}') + 1), exact);
    assertThat(stub.generate(exact.build()).getPng(0)).isEqualTo(png);
    assertThat(call("Python"))
        .contains("model=\"pets\", version=1", "seed=42, first_index=3", "temperature=0.5")
        .contains("labels=[\"dog\"]");
    assertThat(call("Java"))
        .contains(".setVersion(1)", ".setSeed(42L)", ".setTemperature(0.5f)")
        .contains(".addLabels(\"dog\")");
    assertThat(call("curl")).isEqualTo("curl -o pets-1-42-3.png '%s'".formatted(permalink));
    assertThat(browser.seriousFindings()).isEmpty();

    browser.open(browser.text("location.href"));
    browser.await("document.getElementById('image').open");
    assertThat(pixels("#image-pixels", 0, 3))
        .as("the same image after the page was loaded again")
        .isEqualTo(base64(stub.generate(raw(imageRequest())).getPixels()));
    browser.click("#image-next");
    assertThat(browser.text("document.getElementById('image-title').textContent"))
        .isEqualTo("Image 4 of seed 42, class dog");
    browser.click("#image-close");
    assertThat(browser.text("location.search")).doesNotContain("image=");
    assertThat(browser.consoleErrors()).isEmpty();
  }

  @Test
  void slider_endsAreTheTwoImages() throws Exception {
    open("?model=digits&version=1&seed=42&count=9&temperature=0.5");
    String from = pixels("#grid canvas", 2, 1);
    String to = pixels("#grid canvas", 5, 1);
    browser.click("#picking");
    browser.click("#grid li:nth-child(3) button");
    browser.click("#grid li:nth-child(6) button");
    browser.await("document.getElementById('slider').max == %d".formatted(FRAMES - 1));
    GenerateResponse between =
        stub.interpolate(
            InterpolateRequest.newBuilder()
                .setModel("digits")
                .setVersion(1)
                .setFrom(ImagePoint.newBuilder().setSeed(42).setIndex(2))
                .setTo(ImagePoint.newBuilder().setSeed(42).setIndex(5))
                .setTemperature(0.5f)
                .setCount(FRAMES)
                .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
                .build());
    for (int frame : List.of(0, 7, FRAMES - 1)) {
      browser.script(
          """
          const slider = document.getElementById('slider');
          slider.value = arguments[0];
          slider.dispatchEvent(new Event('input'));
          """,
          frame);
      assertThat(pixels("#result", 0, 1))
          .as("frame %d", frame)
          .isEqualTo(base64(between.getPixels().substring(frame * 196, (frame + 1) * 196)))
          .satisfies(
              found -> {
                if (frame != 7) {
                  assertThat(found).isEqualTo(frame == 0 ? from : to);
                }
              });
    }
    assertThat(browser.text("location.search")).endsWith("&selected=42:2,42:5");
    assertThat(browser.seriousFindings()).isEmpty();
    browser.click("#clear");
    assertThat(browser.text("document.getElementById('tray').hidden")).isEqualTo("true");
    assertThat(browser.consoleErrors()).isEmpty();
  }

  @Test
  void threeImages_areDecodedAsAMinusBPlusC() throws Exception {
    open("?model=digits&seed=42&count=9&selected=42:0,7:1,42:2");
    browser.await("document.getElementById('result').width === 14");
    assertThat(pixels("#result", 0, 1)).isEqualTo(base64(sum("digits", 42, 0, 7, 1, 42, 2)));
    open("?model=pets&seed=42&count=9&selected=42:3,42:4,42:5");
    browser.await("document.getElementById('result').width === 14");
    assertThat(pixels("#result", 0, 3)).isEqualTo(base64(sum("pets", 42, 3, 42, 4, 42, 5)));
    assertThat(browser.text("document.querySelector('#grid li:nth-child(1) input').disabled"))
        .as("three are selected")
        .isEqualTo("true");
    assertThat(browser.consoleErrors()).isEmpty();
  }

  @Test
  void classes_areChosenByName() throws Exception {
    open("?model=digits&seed=3&count=4");
    assertThat(browser.text("document.getElementById('label-field').hidden")).isEqualTo("true");
    choose("model", "pets");
    browser.await("document.title.includes('pets/1') && " + LOADED);
    assertThat(browser.text("[...document.getElementById('label').options].map(o => o.text)"))
        .isEqualTo("all,cat,2,dog");
    assertGrid(request("pets", 3, 4), 3);
    choose("label", "dog");
    browser.await("location.search.includes('label=dog') && " + LOADED);
    assertGrid(request("pets", 3, 4).addLabels("dog"), 3);
    choose("model", "digits");
    browser.await("document.title.includes('digits/2') && " + LOADED);
    choose("version", "1");
    browser.await("document.title.includes('digits/1') && " + LOADED);
    assertGrid(request("digits", 3, 4).setVersion(1), 1);
    assertThat(browser.consoleErrors()).isEmpty();
  }

  @Test
  void withoutAModel_thePageSaysSo_andTurnsLiveByItself(@TempDir Path empty) throws Exception {
    SamplerServer waiting = serve(empty);
    try {
      browser.open(page(waiting, "?seed=42&count=4"));
      browser.await("document.getElementById('status').textContent.includes('No model')");
      assertThat(browser.seriousFindings()).isEmpty();
      browser.script("window.isTheSamePage = true");
      TestModels.publish(new ModelRepository(empty), "late", 1, 1);
      browser.await("document.title.includes('late/1') && " + LOADED);
      TestModels.publish(new ModelRepository(empty), "late", 1, 2);
      browser.await("document.title.includes('late/2') && " + LOADED);
      assertThat(browser.text("window.isTheSamePage")).isEqualTo("true");
      assertThat(browser.text("document.getElementById('status').hidden")).isEqualTo("true");
      assertThat(browser.consoleErrors()).isEmpty();
    } finally {
      waiting.drain(Duration.ZERO, Duration.ofSeconds(30));
    }
  }

  @Test
  void overload_saysWhenItTriesAgain_andDoes(@TempDir Path folder) throws Exception {
    TestModels.publish(new ModelRepository(folder), "digits", 1, 1);
    GatedNetwork network = new GatedNetwork(TestModels.LATENT, 14 * 14);
    BatchingPolicy small = new BatchingPolicy(4, Duration.ZERO, 20);
    SamplerServer busy =
        SamplerServer.start(
            config(folder, small),
            () -> {},
            (guard, metrics) ->
                bundle ->
                    ServedVersion.start(
                        bundle,
                        Provider.CPU,
                        List.of(network),
                        GatedNetwork.TIMES,
                        small,
                        metrics.batches(bundle.name()),
                        guard));
    ManagedChannel other =
        Grpc.newChannelBuilder("127.0.0.1:" + busy.port(), InsecureChannelCredentials.create())
            .build();
    try {
      var calls = SamplerServiceGrpc.newFutureStub(other).withWaitForReady();
      browser.open(page(busy, "?seed=42&count=99"));
      browser.await("document.getElementById('error').textContent.includes('exceeds 15')");
      var running = calls.generate(request("digits", 1, 1).build());
      network.awaitStarted();
      var queued = calls.generate(request("digits", 1, 15).build());
      browser.open(page(busy, "?seed=42&count=4"));
      browser.await(
          "/busy: .* Trying again in 1 s/.test(document.getElementById('status').textContent)");
      assertThat(browser.seriousFindings()).isEmpty();
      network.permit(1000);
      browser.await(LOADED);
      assertThat(running.get().getCount() + queued.get().getCount()).isEqualTo(16);
      assertThat(browser.text("document.getElementById('status').hidden")).isEqualTo("true");
      assertThat(browser.consoleErrors())
          .allSatisfy(line -> assertThat(line).containsAnyOf("429", "400", "503"));
    } finally {
      network.permit(1000);
      other.shutdownNow();
      busy.drain(Duration.ZERO, Duration.ofSeconds(30));
    }
  }

  @Test
  void errors_areTheServersLines_atTheirFields() throws Exception {
    open("?model=digits&seed=42&count=4");
    browser.fill("#seed", "12x");
    browser.press(ENTER);
    browser.await("document.getElementById('error').textContent.startsWith(\"seed '12x'\")");
    assertThat(browser.text("document.getElementById('seed').getAttribute('aria-invalid')"))
        .isEqualTo("true");
    assertThat(browser.seriousFindings()).isEmpty();
    browser.fill("#seed", "12");
    browser.press(ENTER);
    browser.await("document.getElementById('error').hidden && " + LOADED);
    assertThat(browser.text("document.getElementById('seed').getAttribute('aria-invalid')"))
        .isEqualTo("null");
    browser.open(page(sampler, "?model=cats"));
    browser.await("document.getElementById('error').textContent.includes(\"'cats'\")");
    browser.open(page(sampler, "?model=digits&version=77"));
    browser.await("document.getElementById('error').textContent.includes('version 77')");
    assertThat(browser.consoleErrors()).isNotEmpty().allMatch(line -> line.contains("/v1/"));
  }

  @Test
  void keyboard_reachesEverything() throws Exception {
    open("?model=digits&seed=42&count=12&columns=4");
    browser.script("document.getElementById('picking').focus()");
    browser.press(TAB);
    assertThat(focused()).isEqualTo("Image 0 of seed 42");
    browser.press(RIGHT, DOWN);
    assertThat(focused()).isEqualTo("Image 5 of seed 42");
    browser.press(ENTER);
    browser.await("document.getElementById('image').open");
    browser.press(RIGHT);
    browser.await("document.getElementById('image-title').textContent.startsWith('Image 6')");
    browser.press(ESCAPE);
    browser.await("!document.getElementById('image').open");
    assertThat(focused()).isEqualTo("Image 6 of seed 42");
    browser.press("s", END, "s");
    browser.await("document.getElementById('slider').max == %d".formatted(FRAMES - 1));
    assertThat(browser.text("location.search")).endsWith("selected=42:6,42:11");
    browser.press(TAB);
    assertThat(focused()).isEqualTo("Select image 11 of seed 42");
    browser.press(TAB, TAB);
    assertThat(focused()).isEqualTo("From A to B");
    String middle = pixels("#result", 0, 1);
    browser.press(END);
    assertThat(pixels("#result", 0, 1))
        .isEqualTo(pixels("#grid canvas", 11, 1))
        .isNotEqualTo(middle);
    assertThat(browser.consoleErrors()).isEmpty();
  }

  @Test
  void phoneAndDark_fitAndAreAccessible() throws Exception {
    for (String scheme : List.of("light", "dark")) {
      browser.prefer(scheme);
      for (String query : List.of("&image=1", "&selected=42:0,42:1", "")) {
        browser.resize(390, 844);
        open("?model=pets&seed=42&count=25" + query);
        assertThat(browser.text("document.documentElement.scrollWidth"))
            .as("no scrolling sideways")
            .isEqualTo("390");
        assertThat(browser.seriousFindings()).as(scheme + query).isEmpty();
      }
      browser.click("summary");
      assertThat(browser.seriousFindings()).isEmpty();
      assertThat(browser.text("document.documentElement.scrollWidth")).isEqualTo("390");
      // Each pixel of an image is a whole number of the screen's.
      String side = browser.text("document.querySelector('#grid canvas').clientWidth % 14");
      assertThat(side).isEqualTo("0");
    }
    assertThat(browser.consoleErrors()).isEmpty();
  }

  @Test
  void rate_isThatOfAllClients() throws Exception {
    open("?model=digits&seed=42&count=4");
    browser.await("/ [0-9]+ images.s$/.test(document.getElementById('serving').textContent)");
    assertThat(browser.consoleErrors()).isEmpty();
  }

  private static void open(String query) throws IOException {
    browser.open(page(sampler, query));
    browser.await(LOADED);
  }

  private static String page(SamplerServer of, String query) {
    return "http://127.0.0.1:%d/%s".formatted(of.httpPort(), query);
  }

  private static String focused() throws IOException {
    return browser.text("document.activeElement.ariaLabel");
  }

  private static void choose(String id, String value) throws IOException {
    browser.script(
        """
        const select = document.getElementById(arguments[0]);
        select.value = arguments[1];
        select.dispatchEvent(new Event('change', { bubbles: true }));
        """,
        id,
        value);
  }

  private static String call(String language) throws IOException {
    browser.click("#tab-" + language);
    return browser.text("document.getElementById('call-text').textContent");
  }

  /** The images in the grid are those of a call, pixel by pixel. */
  private static void assertGrid(GenerateRequest.Builder request, int channels) throws IOException {
    GenerateResponse expected = stub.generate(raw(request));
    int size = 14 * 14 * channels;
    assertThat(browser.text("document.querySelectorAll('#grid canvas').length"))
        .isEqualTo(expected.getCount() + "");
    for (int i = 0; i < expected.getCount(); i++) {
      assertThat(pixels("#grid canvas", i, channels))
          .as("image %d", i)
          .isEqualTo(base64(expected.getPixels().substring(i * size, (i + 1) * size)));
    }
  }

  /** What a canvas shows: uint8 HWC in base64. */
  private static String pixels(String selector, int index, int channels) throws IOException {
    return browser
        .script(
            """
            const canvas = document.querySelectorAll(arguments[0])[arguments[1]];
            const { width, height } = canvas;
            const rgba = canvas.getContext('2d').getImageData(0, 0, width, height).data;
            const values = [...rgba].filter((_, i) => i % 4 < arguments[2]);
            return btoa(String.fromCharCode(...values));
            """,
            selector, index, channels)
        .getStringValue();
  }

  private static String base64(ByteString pixels) {
    return Base64.getEncoder().encodeToString(pixels.toByteArray());
  }

  private static GenerateRequest.Builder request(String model, long seed, int count) {
    return GenerateRequest.newBuilder().setModel(model).setSeed(seed).setCount(count);
  }

  private static GenerateRequest raw(GenerateRequest.Builder request) {
    return request.clone().setFormat(ImageFormat.IMAGE_FORMAT_RAW).build();
  }

  private static GenerateRequest.Builder imageRequest() {
    return request("pets", 42, 1).setFirstIndex(3).setTemperature(0.5f).addLabels("dog");
  }

  private static GenerateResponse image() {
    return stub.generate(imageRequest().build());
  }

  /** The pixels of a - b + c, each a seed and an index, as a client computes them. */
  private static ByteString sum(String model, long... points) {
    GetLatentsResponse[] terms = new GetLatentsResponse[3];
    for (int i = 0; i < 3; i++) {
      terms[i] =
          stub.getLatents(
              GetLatentsRequest.newBuilder()
                  .setModel(model)
                  .setSeed(points[2 * i])
                  .setFirstIndex(points[2 * i + 1])
                  .setCount(1)
                  .build());
    }
    DecodeRequest.Builder request =
        DecodeRequest.newBuilder().setModel(model).setFormat(ImageFormat.IMAGE_FORMAT_RAW);
    for (int i = 0; i < terms[0].getLatentSize(); i++) {
      request.addLatents(terms[0].getLatents(i) - terms[1].getLatents(i) + terms[2].getLatents(i));
    }
    if (terms[2].getLabelsCount() > 0) {
      request.addLabels(ConditionalModels.PETS.name(terms[2].getLabels(0)));
    }
    return stub.decode(request.build()).getPixels();
  }

  private static ByteString get(String url) throws Exception {
    HttpResponse<byte[]> response =
        HttpClient.newHttpClient()
            .send(
                HttpRequest.newBuilder(URI.create(url)).build(),
                HttpResponse.BodyHandlers.ofByteArray());
    assertThat(response.statusCode()).isEqualTo(200);
    return ByteString.copyFrom(response.body());
  }

  private static SamplerServer serve(Path repository) throws IOException {
    return SamplerServer.start(config(repository, POLICY), () -> {});
  }

  private static SamplerServer.Config config(Path repository, BatchingPolicy policy) {
    return new SamplerServer.Config(
        new ModelWatcherConfig(
            new ModelRepository(repository),
            List.of(),
            Duration.ofMillis(10),
            1,
            1 << 20,
            1,
            false,
            false),
        0,
        0,
        Duration.ZERO,
        null,
        new RuntimeSettings(Provider.CPU, 1, false, 0),
        "auto",
        2,
        policy,
        Duration.ZERO);
  }
}
