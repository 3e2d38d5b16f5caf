package dev.dcgan.server;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** The server support serves whatever it is given. */
@AnalyzeClasses(packages = "dev.dcgan", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {

  @ArchTest
  static final ArchRule SERVER_SUPPORT_KNOWS_NO_MODELS_AND_NO_MESSAGES =
      noClasses()
          .that()
          .resideInAPackage("dev.dcgan.server..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("dev.dcgan.model..", "dev.dcgan.latent..", "dev.dcgan.v1..");
}
