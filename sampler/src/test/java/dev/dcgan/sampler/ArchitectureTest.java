package dev.dcgan.sampler;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import com.tngtech.archunit.library.Architectures;

/** What may depend on what: in the sampler, and between both programs and what they share. */
@AnalyzeClasses(packages = "dev.dcgan", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {

  @ArchTest
  static final ArchRule PACKAGES_DEPEND_DOWNWARDS =
      Architectures.layeredArchitecture()
          .consideringOnlyDependenciesInAnyPackage("dev.dcgan.sampler..")
          .layer("main")
          .definedBy("dev.dcgan.sampler")
          .layer("cli")
          .definedBy("dev.dcgan.sampler.cli..")
          .layer("server")
          .definedBy("dev.dcgan.sampler.server")
          .layer("adapters")
          .definedBy("dev.dcgan.sampler.grpc", "dev.dcgan.sampler.http")
          .layer("export")
          .definedBy("dev.dcgan.sampler.export")
          .layer("core")
          .definedBy("dev.dcgan.sampler.core")
          .layer("models")
          .definedBy("dev.dcgan.sampler.models")
          .layer("runtime")
          .definedBy("dev.dcgan.sampler.runtime")
          .layer("graph")
          .definedBy("dev.dcgan.sampler.graph")
          .layer("scheduling")
          .definedBy("dev.dcgan.sampler.scheduling")
          .layer("image")
          .definedBy("dev.dcgan.sampler.image")
          .whereLayer("main")
          .mayNotBeAccessedByAnyLayer()
          .whereLayer("cli")
          .mayOnlyBeAccessedByLayers("main")
          .whereLayer("server")
          .mayOnlyBeAccessedByLayers("cli")
          .whereLayer("adapters")
          .mayOnlyBeAccessedByLayers("server")
          .whereLayer("export")
          .mayOnlyBeAccessedByLayers("cli")
          .whereLayer("core")
          .mayOnlyBeAccessedByLayers("adapters", "server")
          .whereLayer("models")
          .mayOnlyBeAccessedByLayers("core", "adapters", "export", "server", "cli")
          .whereLayer("runtime")
          .mayOnlyBeAccessedByLayers("models", "core", "export", "server", "cli", "adapters")
          .whereLayer("graph")
          .mayOnlyBeAccessedByLayers("runtime")
          .whereLayer("image")
          .mayOnlyBeAccessedByLayers("core", "export");

  @ArchTest
  static final ArchRule PACKAGES_HAVE_NO_CYCLES =
      slices().matching("dev.dcgan.sampler.(**)").should().beFreeOfCycles();

  @ArchTest
  static final ArchRule PUBLIC_TYPES_HAVE_A_USER_OUTSIDE =
      classes()
          .that()
          .resideInAPackage("dev.dcgan.sampler..")
          .and()
          .resideOutsideOfPackage("dev.dcgan.sampler.cli.client") // Its load generator: src/bench.
          .and()
          .areTopLevelClasses()
          .and()
          .arePublic()
          .and()
          .doNotHaveSimpleName("SamplerMain")
          .should(beUsedByAnotherPackage());

  @ArchTest
  static final ArchRule GRPC_IS_FOR_SERVICES_AND_CLIENTS =
      noClasses()
          .that(
              resideOutside(
                  "dev.dcgan.v1..",
                  "dev.dcgan.server..",
                  "dev.dcgan.sampler.grpc..",
                  "dev.dcgan.sampler.cli.client..",
                  "dev.dcgan.trainer.service..",
                  "dev.dcgan.trainer.cli.client.."))
          .should()
          .dependOnClassesThat()
          .resideInAPackage("io.grpc..");

  @ArchTest
  static final ArchRule HTTP_IS_FOR_ITS_SERVER =
      noClasses()
          .that(resideOutside("dev.dcgan.server.."))
          .should()
          .dependOnClassesThat()
          .resideInAPackage("com.sun.net.httpserver..");

  @ArchTest
  static final ArchRule ONNX_RUNTIME_IS_FOR_FEW_PACKAGES =
      noClasses()
          .that(
              resideOutside(
                  "dev.dcgan.sampler.runtime..",
                  "dev.dcgan.trainer.onnx..",
                  "dev.dcgan.trainer.eval.."))
          .should()
          .dependOnClassesThat()
          .resideInAPackage("ai.onnxruntime..");

  @ArchTest
  static final ArchRule DJL_IS_FOR_TRAINING =
      noClasses()
          .that(
              resideOutside(
                  "dev.dcgan.trainer.data..",
                  "dev.dcgan.trainer.torch..",
                  "dev.dcgan.trainer.gan..",
                  "dev.dcgan.trainer.train..",
                  "dev.dcgan.trainer.eval.."))
          .should()
          .dependOnClassesThat()
          .resideInAPackage("ai.djl..");

  @ArchTest
  static final ArchRule METRICS_ARE_FOR_THE_SERVERS =
      noClasses()
          .that()
          .resideInAPackage("dev.dcgan.sampler..")
          .and()
          .resideOutsideOfPackage("dev.dcgan.sampler.server..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("io.prometheus..");

  @ArchTest
  static final ArchRule SCHEDULING_KNOWS_NO_PROTOCOL =
      noClasses()
          .that()
          .resideInAnyPackage("dev.dcgan.sampler.scheduling..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("dev.dcgan.v1..");

  /** DJL leaks a copy of each GPU array that is read through its own methods. */
  @ArchTest
  static final ArchRule ARRAYS_ARE_READ_BY_HOST_COPIES =
      noClasses()
          .that(
              DescribedPredicate.describe(
                  "are not HostCopies", found -> !found.getName().contains(".HostCopies")))
          .should()
          .callMethodWhere(
              DescribedPredicate.describe(
                  "an array is read",
                  call ->
                      call.getTargetOwner().isAssignableTo("ai.djl.ndarray.NDArray")
                          && call.getName()
                              .matches(
                                  "to.*Array|toByteBuffer|toDevice|contentEquals|allClose|copyTo"
                                      + "|get(Float|Double|Long|Int|Byte|Uint8|Boolean)|encode"
                                      + "|toDebugString")));

  @ArchTest
  static final ArchRule SHARED_CODE_KNOWS_NEITHER_PROGRAM =
      noClasses()
          .that()
          .resideInAnyPackage(
              "dev.dcgan.v1..", "dev.dcgan.model..", "dev.dcgan.latent..", "dev.dcgan.server..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("dev.dcgan.trainer..", "dev.dcgan.sampler..");

  @ArchTest
  static final ArchRule SERVER_SUPPORT_KNOWS_NO_MODELS =
      noClasses()
          .that()
          .resideInAPackage("dev.dcgan.server..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("dev.dcgan.model..", "dev.dcgan.latent..");

  @ArchTest
  static final ArchRule PROGRAMS_DO_NOT_KNOW_EACH_OTHER =
      noClasses()
          .that()
          .resideInAPackage("dev.dcgan.sampler..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.dcgan.trainer..");

  private static DescribedPredicate<JavaClass> resideOutside(String... packages) {
    return DescribedPredicate.not(resideInAnyPackage(packages));
  }

  private static ArchCondition<JavaClass> beUsedByAnotherPackage() {
    return new ArchCondition<>("be used by another package") {
      @Override
      public void check(JavaClass type, ConditionEvents events) {
        boolean used =
            type.getDirectDependenciesToSelf().stream()
                .anyMatch(
                    from -> !from.getOriginClass().getPackageName().equals(type.getPackageName()));
        boolean nestedIsUsed =
            type.getPackage().getClasses().stream()
                .filter(nested -> nested.getName().startsWith(type.getName() + "$"))
                .filter(nested -> nested.getModifiers().contains(JavaModifier.PUBLIC))
                .flatMap(nested -> nested.getDirectDependenciesToSelf().stream())
                .anyMatch(
                    from -> !from.getOriginClass().getPackageName().equals(type.getPackageName()));
        events.add(
            new SimpleConditionEvent(
                type, used || nestedIsUsed, type.getName() + " has no user outside its package"));
      }
    };
  }
}
