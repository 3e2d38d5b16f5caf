package dev.dcgan.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.dcgan.model.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests what the folders of the programs say about their libraries. */
class SupplyChainIT {

  private static final Path CHECKSUMS = Path.of("../.mvn/checksums/checksums.sha256");

  @ParameterizedTest
  @ValueSource(strings = {"trainer", "sampler"})
  void libraries_haveRecordedChecksums(String program) throws IOException {
    Map<String, String> recorded = new HashMap<>();
    for (String line : Files.readAllLines(CHECKSUMS)) {
      recorded.put(line.substring(line.lastIndexOf('/') + 1), line.substring(0, line.indexOf(' ')));
    }
    for (Path library : libraries(program)) {
      assertThat(recorded)
          .as(library + " and its checksum in " + CHECKSUMS)
          .containsEntry(name(library), new Sha256().add(Files.readAllBytes(library)).hex());
    }
  }

  /** Also of plugins and annotation processors, which Maven 3.8 does not compare. */
  @Test
  void artifactsOfTheBuild_haveRecordedChecksums() throws IOException {
    Path repository = Path.of(System.getProperty("localRepository")); // Set by Surefire.
    List<String> here = new ArrayList<>();
    for (String line : Files.readAllLines(CHECKSUMS)) {
      String artifact = line.substring(line.lastIndexOf(' ') + 1);
      Path file = repository.resolve(artifact);
      if (Files.exists(file)) { // The artifacts of a profile need not be.
        here.add(artifact);
        assertThat(sha256(file)).as(artifact).isEqualTo(line.substring(0, line.indexOf(' ')));
      }
    }
    assertThat(here).hasSizeGreaterThan(200);
  }

  private static String sha256(Path file) throws IOException {
    Sha256 digest = new Sha256();
    byte[] buffer = new byte[1 << 20];
    try (InputStream in = Files.newInputStream(file)) {
      for (int n = in.read(buffer); n > 0; n = in.read(buffer)) {
        digest.add(ByteBuffer.wrap(buffer, 0, n));
      }
    }
    return digest.hex();
  }

  @ParameterizedTest
  @ValueSource(strings = {"trainer", "sampler"})
  void sbom_andLicences_listEveryLibrary(String program) throws IOException {
    JsonObject sbom =
        JsonParser.parseString(Files.readString(folder(program).resolve("sbom.cdx.json")))
            .getAsJsonObject();
    Map<String, JsonObject> components = new TreeMap<>();
    for (JsonElement element : sbom.getAsJsonArray("components")) {
      JsonObject component = element.getAsJsonObject();
      components.put(
          component.get("name").getAsString() + "-" + component.get("version").getAsString(),
          component);
    }
    String licences = Files.readString(folder(program).resolve("THIRD-PARTY.txt"));
    for (Path library : libraries(program)) {
      List<String> names = components.keySet().stream().filter(name(library)::startsWith).toList();
      assertThat(names).as("components of " + library).isNotEmpty();
      JsonObject component = Objects.requireNonNull(components.get(names.get(0)));
      JsonArray named = component.getAsJsonArray("licenses");
      assertThat(named).as("licences of " + component).isNotEmpty();
      assertThat(licences)
          .contains(
              ":%s:%s "
                  .formatted(
                      component.get("name").getAsString(), component.get("version").getAsString()));
    }
  }

  @Test
  void programs_haveEachLibraryInOneVersion() throws IOException {
    Map<String, List<String>> versions =
        Stream.concat(libraries("trainer").stream(), libraries("sampler").stream())
            .map(SupplyChainIT::name)
            .distinct()
            .collect(Collectors.groupingBy(SupplyChainIT::withoutVersion));
    assertThat(versions.values()).allSatisfy(names -> assertThat(names).hasSize(1));
  }

  /** {@code netty-x-4.2.1.Final-linux.jar}: {@code netty-x--linux.jar}. */
  private static String withoutVersion(String library) {
    return library.replaceFirst("-\\d[\\w.]*(-(alpha|jre))?", "-");
  }

  private static List<Path> libraries(String program) throws IOException {
    try (Stream<Path> files = Files.list(folder(program).resolve("lib"))) {
      List<Path> libraries = files.filter(file -> !name(file).startsWith("dcgan-")).toList();
      assertThat(libraries).hasSizeGreaterThan(40);
      return libraries;
    }
  }

  private static Path folder(String program) {
    return Path.of("..", program, "target", program);
  }

  private static String name(Path file) {
    return file.getFileName().toString();
  }
}
