package dev.dcgan.deploy;

import static dev.dcgan.deploy.Dashboard.string;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.google.gson.JsonObject;
import dev.dcgan.deploy.Dashboard.Panel;
import dev.dcgan.deploy.Dashboard.Place;
import dev.dcgan.deploy.Dashboard.Target;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Tests the files of the dashboards: what each panel documents, and that Grafana finds them. */
class DashboardsTest {

  private static final Path PROVISIONING = Path.of("grafana/provisioning");
  private static final Pattern VARIABLE = Pattern.compile("\\$\\{?(\\w+)");
  // The variables of Grafana itself begin with two underscores.
  private static final Pattern OURS = Pattern.compile("\\$\\{?(?!__)(\\w+)");

  static List<Dashboard> dashboards() throws IOException {
    return Dashboard.all();
  }

  @Test
  void dashboards_areOnePerProgram() throws IOException {
    assertThat(dashboards())
        .extracting(Dashboard::uid)
        .containsExactly("dcgan-sampler", "dcgan-trainer");
  }

  @ParameterizedTest
  @MethodSource("dashboards")
  void panels_haveUniqueIds_andDoNotOverlap(Dashboard dashboard) {
    Set<Integer> ids = new HashSet<>();
    List<Panel> before = new ArrayList<>();
    for (Panel panel : dashboard.everything()) {
      assertThat(ids.add(panel.json().get("id").getAsInt())).as("id of %s", panel.title()).isTrue();
      Place place = panel.place();
      assertThat(place.x()).isNotNegative();
      assertThat(place.x() + place.w()).as(panel.title()).isLessThanOrEqualTo(24);
      assertThat(Math.min(place.w(), place.h())).as(panel.title()).isPositive();
      assertThat(before)
          .as("panels under %s", panel.title())
          .noneMatch(other -> other.place().overlaps(place));
      before.add(panel);
    }
    assertThat(dashboard.panels()).extracting(Panel::title).doesNotHaveDuplicates();
  }

  @ParameterizedTest
  @MethodSource("dashboards")
  void panels_haveDescription_unit_andDataSource(Dashboard dashboard) {
    for (Panel panel : dashboard.panels()) {
      assertThat(panel.title()).isNotBlank();
      // What the panel shows, which values are good, and what to do.
      assertThat(string(panel.json(), "description"))
          .as(panel.title())
          .hasSizeGreaterThan(40)
          .endsWith(".");
      assertThat(string(panel.defaults(), "unit")).as("unit of %s", panel.title()).isNotBlank();
      assertUsesDataSourceVariable(panel.json());
      assertThat(panel.targets()).as(panel.title()).isNotEmpty();
      assertThat(panel.targets()).extracting(Target::refId).doesNotHaveDuplicates();
      for (Target target : panel.targets()) {
        assertUsesDataSourceVariable(target.json());
        assertThat(target.expression()).as(panel.title()).isNotBlank();
        if (!panel.type().equals("table")) {
          assertThat(target.legend()).as("legend of %s", panel.title()).isNotBlank();
        }
      }
      if (panel.type().equals("timeseries")) {
        JsonObject legend = panel.json().getAsJsonObject("options").getAsJsonObject("legend");
        assertThat(legend.get("showLegend").getAsBoolean()).as(panel.title()).isTrue();
      }
      if (panel.type().equals("heatmap")) {
        assertThat(string(panel.targets().get(0).json(), "format")).isEqualTo("heatmap");
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dashboards")
  void variables_areDefined_andUsed(Dashboard dashboard) {
    Set<String> defined = new TreeSet<>();
    Dashboard.objects(dashboard.json().getAsJsonObject("templating"), "list")
        .forEach(
            variable -> {
              // A variable may use only those before it.
              assertThat(defined).containsAll(names(OURS, variable.toString()));
              defined.add(string(variable, "name"));
            });
    assertThat(defined).containsExactlyInAnyOrder("datasource", "namespace", "pod", "model");

    Set<String> used = new TreeSet<>();
    dashboard.panels().forEach(panel -> used.addAll(names(OURS, panel.json().toString())));
    assertThat(used).isEqualTo(defined);
    dashboard
        .annotations()
        .forEach(
            annotation -> {
              assertUsesDataSourceVariable(annotation);
              assertThat(defined).containsAll(names(OURS, annotation.toString()));
            });
    assertThat(names(VARIABLE, dashboard.json().toString()))
        .as("Grafana's own variables")
        .filteredOn(name -> name.startsWith("__"))
        .isSubsetOf("__rate_interval", "__interval", "__all");
  }

  @ParameterizedTest
  @MethodSource("dashboards")
  void rates_useTheRateInterval(Dashboard dashboard) {
    for (Panel panel : dashboard.panels()) {
      for (Target target : panel.targets()) {
        assertThat(target.expression())
            .as(panel.title())
            .doesNotContainPattern("\\[(?!\\$__rate_interval])");
      }
    }
  }

  /** Epochs are counted from 1, so that a ratio of epochs would be wrong at the end of a run. */
  @Test
  void progress_countsSteps() throws IOException {
    assertThat(dashboards())
        .flatExtracting(Dashboard::panels)
        .filteredOn(panel -> panel.title().equals("Progress"))
        .singleElement()
        .satisfies(
            panel -> {
              assertThat(string(panel.defaults(), "unit")).isEqualTo("percentunit");
              assertThat(panel.targets())
                  .singleElement()
                  .extracting(Target::expression)
                  .asString()
                  .contains("trainer_progress_ratio{")
                  .doesNotContain("trainer_epoch");
            });
  }

  @Test
  void provisioning_namesDataSource_andDashboards() throws IOException {
    JsonNode source = yaml("datasources/prometheus.yaml").at("/datasources/0");
    assertThat(source.get("type").asText()).isEqualTo("prometheus");
    assertThat(source.get("url").asText()).isEqualTo("http://prometheus:9090");
    for (Dashboard dashboard : dashboards()) {
      JsonObject first =
          Dashboard.objects(dashboard.json().getAsJsonObject("templating"), "list")
              .findFirst()
              .orElseThrow();
      assertThat(string(first, "name")).isEqualTo("datasource");
      assertThat(string(first.getAsJsonObject("current"), "value"))
          .isEqualTo(source.get("uid").asText());
    }
    assertThat(yaml("dashboards/dcgan.yaml").at("/providers/0/options/path").asText())
        .isEqualTo("/var/lib/grafana/dashboards");
    try (Stream<Path> files = Files.walk(PROVISIONING)) {
      assertThat(files.filter(Files::isRegularFile)).hasSize(2);
    }
  }

  private static JsonNode yaml(String file) throws IOException {
    return new YAMLMapper().readTree(PROVISIONING.resolve(file).toFile());
  }

  private static void assertUsesDataSourceVariable(JsonObject of) {
    JsonObject source = of.getAsJsonObject("datasource");
    assertThat(string(source, "type")).isEqualTo("prometheus");
    assertThat(string(source, "uid")).isEqualTo("${datasource}");
  }

  private static Set<String> names(Pattern pattern, String text) {
    Set<String> names = new TreeSet<>();
    for (Matcher matcher = pattern.matcher(text); matcher.find(); ) {
      names.add(matcher.group(1));
    }
    return names;
  }
}
