package dev.dcgan.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests that the licences of all native libraries of the build for CUDA are listed. */
class CudaLicencesTest {

  private static final Pattern PROPERTY = Pattern.compile("<([a-z0-9.-]+)>([^<$]+)</\\1>");
  private static final Pattern ITEM =
      Pattern.compile(
          "<groupId>([^<]*)</groupId>\\s*<artifactId>([^<]*)</artifactId>\\s*<version>([^<]*)"
              + "</version>\\s*(?:<classifier>[^<]*</classifier>\\s*)?(?:<!--.*?-->\\s*)?"
              + "<includes>([^<]*)</includes>");
  private static final Pattern VARIABLE = Pattern.compile("\\$\\{([^}]+)}");
  private static final Pattern LIBRARY = Pattern.compile("\\blib(?:cu|nv|torch|c10)[A-Za-z0-9_]*");

  /**
   * An artifact whose libraries are unpacked.
   *
   * @param name {@code group:artifact}
   * @param libraries file names, some with {@code *}
   */
  private record Item(String name, String version, List<String> libraries) {}

  @ParameterizedTest
  @ValueSource(strings = {"trainer", "sampler"})
  void everyLibraryOfTheBuild_isListed_withItsArtifact(String program) throws IOException {
    String list = list(program);
    String readme = read("README.md");

    for (Item item : items(program)) {
      assertThat(list).contains(item.name + ":" + item.version + "\n");
      assertThat(readme).contains("`" + item.name + "`");
      item.libraries.forEach(library -> assertThat(list).contains(library));
    }
  }

  /** JavaCPP repackages NVIDIA's libraries. */
  @ParameterizedTest
  @ValueSource(strings = {"trainer", "sampler"})
  void librariesOfNvidia_areUnderItsTerms(String program) throws IOException {
    for (Item item : items(program)) {
      if (item.name.startsWith("org.bytedeco:cuda")) {
        String artifact = item.name + ":" + item.version + "\n";
        String list = list(program);
        String section = list.substring(list.indexOf(artifact) + artifact.length());
        List<String> components = section.lines().takeWhile(line -> line.startsWith(" ")).toList();
        assertThat(components.stream().filter(line -> line.contains("NVIDIA")))
            .as(item.name)
            .isNotEmpty()
            .allMatch(line -> line.matches("  \\* .* (CUDA Toolkit EULA|cuDNN SLA) .*"));
      }
    }
  }

  @Test
  void everyCudaLibraryThatDeployNames_isListed() throws IOException {
    String lists = list("trainer") + list("sampler");
    List<Path> files = new ArrayList<>(List.of(Path.of("check-cuda.sh"), Path.of("README.md")));
    for (String folder : List.of("docker", "kubernetes")) {
      try (Stream<Path> all = Files.walk(Path.of(folder))) {
        all.filter(Files::isRegularFile).forEach(files::add);
      }
    }
    for (Path file : files) {
      for (MatchResult library : LIBRARY.matcher(Files.readString(file)).results().toList()) {
        assertThat(lists).as(file.toString()).contains(library.group());
      }
    }
  }

  /** Whoever gets an image gets the licences. */
  @ParameterizedTest
  @ValueSource(strings = {"trainer", "sampler"})
  void images_haveTheLicences(String program) throws IOException {
    assertThat(read("docker/unpack.sh")).contains("/THIRD-PARTY.txt \"$out/$program/licenses\"");
    assertThat(read("docker/Dockerfile"))
        .contains(
            "COPY --from=build /out/%s/licenses /app/licenses".formatted(program),
            "COPY --from=build /out/%s/native /app/native".formatted(program));
    assertThat(read("../%s/pom.xml".formatted(program)))
        .containsIgnoringWhitespaces(
            "<outputDirectory>${%s.native}</outputDirectory>".formatted(program),
            "<resources><resource><directory>src/main/cuda</directory></resource></resources>");
  }

  private static List<Item> items(String program) throws IOException {
    Map<String, String> properties =
        PROPERTY
            .matcher(read("../pom.xml"))
            .results()
            .collect(
                Collectors.toMap(
                    property -> property.group(1), property -> property.group(2), (a, b) -> a));
    String pom = read("../%s/pom.xml".formatted(program));
    int begin = pom.indexOf("<id>cuda</id>");
    String profile = pom.substring(begin, pom.indexOf("</profile>", begin));
    List<Item> items =
        ITEM.matcher(profile)
            .results()
            .map(
                item ->
                    new Item(
                        item.group(1) + ":" + item.group(2),
                        VARIABLE
                            .matcher(item.group(3))
                            .replaceAll(name -> properties.get(name.group(1))),
                        Stream.of(item.group(4).split(","))
                            .map(path -> path.substring(path.lastIndexOf('/') + 1))
                            .filter(name -> name.startsWith("lib"))
                            .toList()))
            .toList();
    assertThat(items).hasSize(profile.split("<artifactItem>").length - 1).isNotEmpty();
    return items;
  }

  private static String list(String program) throws IOException {
    return read("../%s/src/main/cuda/THIRD-PARTY-CUDA.txt".formatted(program));
  }

  private static String read(String file) throws IOException {
    return Files.readString(Path.of(file));
  }
}
