package dev.dcgan.browser;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import com.google.protobuf.util.JsonFormat;
import com.google.protobuf.util.Values;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;

/**
 * Headless Chromium, for tests of pages. It speaks WebDriver (W3C) with Debian's chromedriver.
 *
 * <p>Values of scripts are JSON, as protobuf's {@link Value}. Not thread-safe.
 */
public final class Browser implements AutoCloseable {

  private static final String STARTED = "started successfully on port ";
  private static final Duration MAX_WAIT = Duration.ofSeconds(30);
  private static final List<String> OPTIONS =
      List.of(
          "--headless=new",
          "--no-sandbox", // Containers run as root.
          "--disable-gpu",
          "--disable-dev-shm-usage",
          "--no-first-run",
          "--disable-background-networking",
          "--disable-component-update",
          "--disable-sync",
          "--hide-scrollbars");

  private final HttpClient client = HttpClient.newHttpClient();
  private final Process driver;
  private final List<String> requests = new ArrayList<>();
  private String session;

  private Browser(Process driver, String url) {
    this.driver = driver;
    this.session = url;
  }

  /** Starts a browser with an empty profile; the test is skipped if there is none. */
  public static Browser start() throws IOException {
    Path chromium = find("chromium");
    Process driver =
        new ProcessBuilder(find("chromedriver").toString(), "--port=0")
            .redirectErrorStream(true)
            .start();
    Browser browser = new Browser(driver, "http://127.0.0.1:" + port(driver) + "/session");
    try {
      Map<String, Object> options = Map.of("binary", chromium.toString(), "args", OPTIONS);
      Map<String, Object> capabilities =
          Map.of(
              "goog:chromeOptions", options,
              "goog:loggingPrefs", Map.of("browser", "ALL", "performance", "ALL"));
      Value made =
          browser.post("", Map.of("capabilities", Map.of("alwaysMatch", capabilities)));
      browser.session += "/" + field(made, "sessionId").getStringValue();
    } catch (IOException | RuntimeException e) {
      browser.close();
      throw e;
    }
    return browser;
  }

  /** Opens a page and waits until it and its scripts are loaded. */
  public void open(String url) throws IOException {
    post("/url", Map.of("url", url));
  }

  /**
   * Runs the body of a function in the page.
   *
   * @param arguments what it sees as {@code arguments}: strings, numbers, booleans
   * @return what it returns; if that is a promise, what it becomes
   */
  public Value script(String body, Object... arguments) throws IOException {
    return post("/execute/sync", Map.of("script", body, "args", List.of(arguments)));
  }

  /** The text of an expression of JavaScript. */
  public String text(String expression) throws IOException {
    return script("return String(" + expression + ")").getStringValue();
  }

  /** Waits until an expression of JavaScript is true, at most half a minute. */
  public void await(String expression) throws IOException {
    String poll =
        """
        const end = performance.now() + %d;
        return new Promise(resolve => {
          const look = () => {
            let found = false;
            try { found = Boolean(%s); } catch (e) { /* not yet */ }
            if (found || performance.now() > end) resolve(found); else setTimeout(look, 20);
          };
          look();
        });
        """
            .formatted(MAX_WAIT.toMillis() - 5000, expression);
    if (!script(poll).getBoolValue()) {
      throw new AssertionError(
          "this did not become true: %s\nthe page: %s"
              .formatted(expression, text("document.body.innerText")));
    }
  }

  /** Clicks the first element that a CSS selector finds, as a mouse does. */
  public void click(String selector) throws IOException {
    post("/element/" + element(selector) + "/click", Map.of());
  }

  /** Replaces the text of a field. */
  public void fill(String selector, String text) throws IOException {
    String element = element(selector);
    post("/element/" + element + "/clear", Map.of());
    post("/element/" + element + "/value", Map.of("text", text));
  }

  /** Presses keys one after another: characters, or WebDriver's codes such as {@code \uE004}. */
  public void press(String... keys) throws IOException {
    List<Map<String, String>> actions =
        Stream.of(keys)
            .flatMap(key -> Stream.of(action("keyDown", key), action("keyUp", key)))
            .toList();
    post(
        "/actions",
        Map.of("actions", List.of(Map.of("type", "key", "id", "keys", "actions", actions))));
  }

  /** Sets the size of the page in CSS pixels, also a phone's. */
  public void resize(int width, int height) throws IOException {
    devTools(
        "Emulation.setDeviceMetricsOverride",
        Map.of("width", width, "height", height, "deviceScaleFactor", 1, "mobile", width < 600));
  }

  /** Sets the color scheme that the user prefers: {@code light} or {@code dark}. */
  public void prefer(String scheme) throws IOException {
    Map<String, String> feature = Map.of("name", "prefers-color-scheme", "value", scheme);
    devTools("Emulation.setEmulatedMedia", Map.of("features", List.of(feature)));
  }

  /** What is visible, as PNG. */
  public byte[] screenshot() throws IOException {
    return Base64.getDecoder().decode(call("GET", "/screenshot", null).getStringValue());
  }

  /** The errors in the console since the last call; failed requests are among them. */
  public List<String> consoleErrors() throws IOException {
    return log("browser").stream()
        .filter(entry -> field(entry, "level").getStringValue().equals("SEVERE"))
        .map(entry -> field(entry, "message").getStringValue())
        .toList();
  }

  /** The URLs of all requests that pages made since the start. */
  public List<String> requests() throws IOException {
    for (Value entry : log("performance")) {
      String event = field(entry, "message").getStringValue();
      Value message = field(parse(event), "message");
      if (field(message, "method").getStringValue().equals("Network.requestWillBeSent")) {
        Value request = field(field(message, "params"), "request");
        requests.add(field(request, "url").getStringValue());
      }
    }
    return List.copyOf(requests);
  }

  /** What axe-core finds wrong with the accessibility of the page, serious or critical. */
  public List<String> seriousFindings() throws IOException {
    try (InputStream in = Browser.class.getResourceAsStream("/axe.min.js")) {
      byte[] axe = Objects.requireNonNull(in, "axe.min.js on the class path").readAllBytes();
      script(new String(axe, StandardCharsets.UTF_8));
    }
    Value found =
        script(
            """
            return axe.run().then(result => result.violations
              .filter(one => one.impact === 'serious' || one.impact === 'critical')
              .map(one => `${one.id}: ${one.nodes.map(node => node.html).join(' ')}`))
            """);
    return found.getListValue().getValuesList().stream().map(Value::getStringValue).toList();
  }

  /** Ends the browser and its driver. */
  @Override
  public void close() {
    try {
      call("DELETE", "", null);
    } catch (IOException e) {
      // It has ended already.
    } finally {
      driver.destroy();
    }
  }

  private static Map<String, String> action(String type, String key) {
    return Map.of("type", type, "value", key);
  }

  private String element(String selector) throws IOException {
    Value found = post("/element", Map.of("using", "css selector", "value", selector));
    return found.getStructValue().getFieldsMap().values().iterator().next().getStringValue();
  }

  private void devTools(String command, Map<String, Object> parameters) throws IOException {
    post("/goog/cdp/execute", Map.of("cmd", command, "params", parameters));
  }

  private List<Value> log(String type) throws IOException {
    return post("/se/log", Map.of("type", type)).getListValue().getValuesList();
  }

  private Value post(String path, Map<String, Object> body) throws IOException {
    return call("POST", path, JsonFormat.printer().print(value(body)));
  }

  private Value call(String method, String path, @Nullable String body)
      throws IOException {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(session + path))
            .timeout(MAX_WAIT.multipliedBy(2))
            .method(
                method,
                body == null
                    ? HttpRequest.BodyPublishers.noBody()
                    : HttpRequest.BodyPublishers.ofString(body))
            .build();
    try {
      HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
      Value value = field(parse(response.body()), "value");
      if (response.statusCode() != 200) {
        throw new AssertionError(field(value, "message").getStringValue());
      }
      return value;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(e);
    }
  }

  private static Value parse(String json) throws IOException {
    Value.Builder value = Value.newBuilder();
    JsonFormat.parser().merge(json, value);
    return value.build();
  }

  private static Value field(Value object, String name) {
    return object.getStructValue().getFieldsOrDefault(name, Value.getDefaultInstance());
  }

  private static Value value(Object object) {
    if (object instanceof Map<?, ?> map) {
      Map<String, Value> fields = new LinkedHashMap<>();
      map.forEach((name, member) -> fields.put(String.valueOf(name), value(member)));
      return Values.of(Struct.newBuilder().putAllFields(fields).build());
    }
    if (object instanceof List<?> list) {
      return Values.of(list.stream().map(Browser::value).toList());
    }
    if (object instanceof Number number) {
      return Values.of(number.doubleValue());
    }
    return object instanceof Boolean flag ? Values.of(flag) : Values.of(object.toString());
  }

  private static Path find(String program) {
    Optional<Path> found =
        Stream.of(System.getenv("PATH").split(File.pathSeparator))
            .map(folder -> Path.of(folder, program))
            .filter(Files::isExecutable)
            .findFirst();
    Assumptions.assumeTrue(found.isPresent(), program + " is absent");
    return found.orElseThrow();
  }

  private static String port(Process driver) throws IOException {
    BufferedReader output = driver.inputReader(StandardCharsets.UTF_8);
    for (String line = output.readLine(); line != null; line = output.readLine()) {
      int at = line.indexOf(STARTED);
      if (at >= 0) {
        return line.substring(at + STARTED.length()).replaceAll("\\D+$", "");
      }
    }
    throw new IOException("chromedriver ended");
  }
}
