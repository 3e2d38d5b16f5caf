package dev.dcgan.model;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** What both programs share about models knows neither a server nor a command line. */
@AnalyzeClasses(packages = "dev.dcgan", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {

  @ArchTest
  static final ArchRule MODELS_KNOW_NO_SERVER =
      noClasses()
          .that()
          .resideInAnyPackage("dev.dcgan.model..", "dev.dcgan.latent..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "dev.dcgan.server..", "io.grpc..", "io.netty..", "picocli..", "io.prometheus..");

  @ArchTest
  static final ArchRule PACKAGES_HAVE_NO_CYCLES =
      slices().matching("dev.dcgan.(*)..").should().beFreeOfCycles();
}
