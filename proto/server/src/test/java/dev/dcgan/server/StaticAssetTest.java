package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.browser.Browser;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class StaticAssetTest {

  private static final String LEFT_OUT = "(none)";

  private final HttpClient client = HttpClient.newHttpClient();

  @Test
  void assets_haveTypeTagAndPolicy_andAreRevalidated() throws Exception {
    try (HttpEndpoint endpoint = start(Map.of())) {
      HttpResponse<String> page = get(endpoint, "/?any=query");
      assertThat(page.statusCode()).isEqualTo(200);
      assertThat(page.body()).startsWith("<!doctype html>");
      assertThat(header(page, "Content-Type")).isEqualTo("text/html; charset=utf-8");
      assertThat(header(page, "Content-Security-Policy"))
          .startsWith("default-src 'self';")
          .doesNotContain("unsafe");
      assertThat(header(page, "X-Content-Type-Options")).isEqualTo("nosniff");
      assertThat(header(page, "Referrer-Policy")).isEqualTo("no-referrer");
      assertThat(header(page, "Cache-Control")).isEqualTo("no-cache");
      assertThat(header(page, "Access-Control-Allow-Origin")).isEqualTo(LEFT_OUT);
      assertThat(header(get(endpoint, "/page.js"), "Content-Type"))
          .isEqualTo("text/javascript; charset=utf-8");
      HttpResponse<String> style = get(endpoint, "/dcgan.css");
      assertThat(header(style, "Content-Type")).isEqualTo("text/css; charset=utf-8");

      String tag = header(page, "ETag");
      assertThat(tag).matches("\"[0-9a-f]{32}\"").isNotEqualTo(header(style, "ETag"));
      for (String known : new String[] {tag, "W/" + tag, "\"other\", " + tag, "*"}) {
        HttpResponse<String> same = send(request(endpoint, "/").header("If-None-Match", known));
        assertThat(same.statusCode()).as(known).isEqualTo(304);
        assertThat(header(same, "ETag")).isEqualTo(tag);
      }
      assertThat(send(request(endpoint, "/").header("If-None-Match", "\"other\"")).statusCode())
          .isEqualTo(200);
      HttpResponse<String> head =
          send(request(endpoint, "/").method("HEAD", BodyPublishers.noBody()));
      assertThat(head.body()).isEmpty();
      assertThat(header(head, "Content-Length")).isEqualTo(page.body().length() + "");
      assertThat(get(endpoint, "/index.html").body())
          .as("files are no pages")
          .isEqualTo("no such page; expected one of /, /healthz, /metrics, /readyz\n");
    }
  }

  @Test
  void assets_areServedWhileAllSlotsForPagesAreTaken() throws Exception {
    Semaphore arrived = new Semaphore(0);
    Semaphore gate = new Semaphore(0);
    HttpPage slow =
        call -> {
          arrived.release();
          gate.acquireUninterruptibly();
          call.text(200, "done");
        };
    List<Socket> others = new ArrayList<>();
    try (HttpEndpoint endpoint = start(Map.of("/slow", slow))) {
      int slots = HttpEndpoint.Limits.DEFAULT.pages();
      for (int i = 0; i < slots / 2 + 1; i++) {
        var unused =
            client.sendAsync(
                request(endpoint, "/slow").build(), HttpResponse.BodyHandlers.ofString());
        Socket other =
            new Socket(
                InetAddress.getLoopbackAddress(),
                endpoint.port(),
                InetAddress.getAllByName("127.0.0.3")[0],
                0);
        others.add(other);
        other
            .getOutputStream()
            .write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
      }
      arrived.acquire(slots);
      assertThat(get(endpoint, "/").statusCode()).isEqualTo(200);
      gate.release(slots + 2);
      for (Socket other : others) {
        other.close();
      }
    }
  }

  @Test
  void fileThatIsMissing_isAnError() {
    assertThatThrownBy(() -> StaticAsset.of(StaticAssetTest.class, "absent.js"))
        .hasMessageContaining("absent.js");
    assertThatThrownBy(() -> StaticAsset.of(StaticAssetTest.class, "page.exe"))
        .hasMessageContaining("page.exe");
  }

  @Test
  void inChromium_moduleRuns_inlineScriptDoesNot() throws Exception {
    try (HttpEndpoint endpoint = start(Map.of());
        Browser browser = Browser.start()) {
      browser.resize(390, 844);
      browser.prefer("dark");
      browser.open("http://127.0.0.1:" + endpoint.port() + "/");
      browser.await("document.querySelector('h1').textContent === 'module'");
      assertThat(browser.text("document.title")).isEqualTo("Test");
      assertThat(browser.text("innerWidth")).isEqualTo("390");
      assertThat(browser.text("getComputedStyle(document.body).backgroundColor"))
          .as("the dark page")
          .isEqualTo("rgb(19, 20, 22)");
      assertThat(browser.consoleErrors().toString())
          .contains("script-src", "img-src", "elsewhere.png");
      assertThat(browser.requests())
          .contains("http://127.0.0.1:%d/page.js".formatted(endpoint.port()));
      assertThat(browser.screenshot()).startsWith(0x89, 'P', 'N', 'G');
    }
  }

  private static HttpEndpoint start(Map<String, HttpPage> pages) throws Exception {
    Map<String, HttpPage> all = new HashMap<>(pages);
    all.putAll(StaticAsset.all(StaticAssetTest.class, "index.html", "page.js"));
    return HttpEndpoint.start(0, new PrometheusRegistry(), all, Set.of("*"));
  }

  private HttpResponse<String> get(HttpEndpoint endpoint, String path) throws Exception {
    return send(request(endpoint, path));
  }

  private HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
    return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  private static HttpRequest.Builder request(HttpEndpoint endpoint, String path) {
    return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + endpoint.port() + path));
  }

  private static String header(HttpResponse<?> response, String name) {
    return response.headers().firstValue(name).orElse(LEFT_OUT);
  }
}
