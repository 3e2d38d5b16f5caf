package dev.dcgan.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.sampler.SamplerMain;
import dev.dcgan.server.DryRun;
import dev.dcgan.trainer.TrainerMain;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the READMEs: their tables of options, and their links. */
class DocumentationTest {

  private static final Map<String, Class<?>> PROGRAMS =
      Map.of("sampler", SamplerMain.class, "trainer", TrainerMain.class);
  private static final Set<String> OF_EVERY_COMMAND = Set.of("--help", "--version");
  // The first cell of the header names the commands that a table belongs to.
  private static final Pattern TABLE =
      Pattern.compile(
          "(?m)^\\| (`(?:trainer|sampler) .*?) \\| default \\| meaning \\|\n"
              + "\\|[-|]+\\|\n((?:\\|.*\n)+)");
  private static final Pattern ROW =
      Pattern.compile("\\| `(--[a-z0-9-]+)[^`]*` \\|(.*?)\\| .+ \\|");
  private static final Pattern CODE = Pattern.compile("`([^`]*)`");
  private static final Pattern LINK = Pattern.compile("\\]\\((?!https?:)([^)#]*)(?:#([^)]*))?\\)");
  private static final Pattern HEADING = Pattern.compile("(?m)^#+ (.*)$");

  @ParameterizedTest
  @ValueSource(strings = {"sampler", "trainer"})
  void optionTables_matchHelp(String program) throws IOException {
    Class<?> main = Objects.requireNonNull(PROGRAMS.get(program));
    Map<String, Set<String>> documented = new TreeMap<>();
    List<String> problems = new ArrayList<>();
    String readme = read("../" + program + "/README.md");
    for (MatchResult table : TABLE.matcher(readme).results().toList()) {
      for (String command : words(table.group(1))) {
        String name = command.substring(program.length() + 1);
        Set<String> options = documented.computeIfAbsent(name, n -> new TreeSet<>());
        for (String line : table.group(2).lines().toList()) {
          MatchResult row = row(line);
          String option = row.group(1);
          assertThat(options.add(option)).as("%s %s has one row", command, option).isTrue();
          if (!DryRun.options(main, List.of(name)).contains(option)) {
            problems.add("%s has no option %s".formatted(command, option));
          } else if (!agree(row.group(2).strip(), DryRun.defaultText(main, name, option))) {
            problems.add(
                "%s %s: the default is '%s'"
                    .formatted(command, option, DryRun.defaultText(main, name, option)));
          }
        }
      }
    }
    assertThat(problems).isEmpty();

    Map<String, Set<String>> expected = new TreeMap<>();
    for (String command : DryRun.commands(main)) {
      Set<String> options = new TreeSet<>(DryRun.options(main, List.of(command)));
      options.removeAll(OF_EVERY_COMMAND);
      expected.put(command, options);
    }
    assertThat(documented).isEqualTo(expected);
  }

  @ParameterizedTest
  @ValueSource(strings = {"sampler", "trainer"})
  void help_hasWholeSentences_andNoEmptyDefaults(String program) {
    Class<?> main = Objects.requireNonNull(PROGRAMS.get(program));
    for (String command : DryRun.commands(main)) {
      assertThat(DryRun.description(main, command))
          .as("%s %s", program, command)
          .isNotEmpty()
          .allMatch(line -> line.endsWith("."))
          .first()
          .asString()
          .matches("[A-Z].*");
      assertThat(DryRun.help(main, command))
          .as("%s %s", program, command)
          .doesNotContainPattern("\\R +Default: *(\\[\\])?\\R");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../README.md",
        "../trainer/README.md",
        "../sampler/README.md",
        "../proto/README.md",
        "README.md",
        "RUNBOOK.md"
      })
  void links_resolve(String file) throws IOException {
    for (MatchResult link : LINK.matcher(read(file)).results().toList()) {
      Path target =
          link.group(1).isEmpty() ? Path.of(file) : Path.of(file).resolveSibling(link.group(1));
      assertThat(target).as(link.group()).exists();
      if (link.group(2) != null) {
        assertThat(anchors(target)).as(link.group()).contains(link.group(2));
      }
    }
  }

  @Test
  void readme_isShort() throws IOException {
    assertThat(read("../README.md").lines()).hasSizeLessThan(250);
  }

  /**
   * Whether a cell and a default agree. Words, as of defaults that depend on something, may be
   * other words in the table.
   */
  private static boolean agree(String cell, String expected) {
    String documented = String.join(" ", words(cell.contains("`") ? cell : "`" + cell + "`"));
    if (expected.contains(" ") || expected.isEmpty()) {
      return expected.isEmpty() ? cell.isBlank() || cell.contains(" ") : !cell.isBlank();
    }
    return expected.startsWith("PT")
        ? DryRun.duration(documented).equals(Duration.parse(expected))
        : documented.equals(expected);
  }

  private static MatchResult row(String line) {
    var row = ROW.matcher(line);
    assertThat(row.matches()).as(line).isTrue();
    return row.toMatchResult();
  }

  private static List<String> words(String cell) {
    return CODE.matcher(cell).results().map(word -> word.group(1)).toList();
  }

  /** The anchors that a renderer gives to the headings of a document. */
  private static List<String> anchors(Path document) throws IOException {
    return HEADING
        .matcher(Files.readString(document))
        .results()
        .map(heading -> heading.group(1).toLowerCase(Locale.ROOT))
        .map(heading -> heading.replaceAll("[^\\w\\s-]", "").replace(' ', '-'))
        .toList();
  }

  private static String read(String file) throws IOException {
    return Files.readString(Path.of(file));
  }
}
