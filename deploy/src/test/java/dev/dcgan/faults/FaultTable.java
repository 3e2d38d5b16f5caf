package dev.dcgan.faults;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.opentest4j.TestAbortedException;

/**
 * Gives each test its {@link FaultRow}, and when all tests have ended prints the table and writes
 * it to {@code target/faults.md}.
 */
final class FaultTable implements ParameterResolver, AfterEachCallback {

  private static final Namespace NAMESPACE = Namespace.create(FaultTable.class);
  private static final Path FILE = Path.of("target/faults.md");
  private static final int MAX_MESSAGE = 200; // JUnit's report has all of it.

  /** The rows of all tests. JUnit closes it at the end. */
  private static final class Table implements AutoCloseable {

    // Mutable state
    private final List<String> rows = new ArrayList<>();

    Table() {
      System.out.println("faults.seed=" + FaultSettings.SEED);
    }

    @Override
    public void close() throws IOException {
      String table =
          "Seed %d (-Dfaults.seed repeats the random decisions).%n%n".formatted(FaultSettings.SEED)
              + "| fault | times | checked | result |\n|---|---|---|---|\n"
              + String.join("\n", rows)
              + "\n";
      System.out.println(table);
      Files.writeString(FILE, table);
    }
  }

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    return parameter.getParameter().getType() == FaultRow.class;
  }

  @Override
  public FaultRow resolveParameter(ParameterContext parameter, ExtensionContext context) {
    var unused = table(context); // Prints the seed before the first test.
    return row(context);
  }

  @Override
  public void afterEach(ExtensionContext context) {
    String outcome =
        context
            .getExecutionException()
            .map(
                e ->
                    e instanceof TestAbortedException
                        ? "skipped: " + e.getMessage()
                        : "FAILED: " + oneLine(e))
            .orElse("ok");
    String line = row(context).line(outcome);
    System.out.println(line); // A long run shows how far it is.
    table(context).rows.add(line);
  }

  private static String oneLine(Throwable e) {
    String line = String.valueOf(e.getMessage()).strip().replaceAll("\\s+", " ");
    return line.substring(0, Math.min(line.length(), MAX_MESSAGE));
  }

  private static FaultRow row(ExtensionContext context) {
    return Objects.requireNonNull(
        context
            .getStore(NAMESPACE)
            .getOrComputeIfAbsent(
                FaultRow.class, key -> new FaultRow(context.getDisplayName()), FaultRow.class));
  }

  private static Table table(ExtensionContext context) {
    return Objects.requireNonNull(
        context
            .getRoot()
            .getStore(NAMESPACE)
            .getOrComputeIfAbsent(Table.class, key -> new Table(), Table.class));
  }
}
