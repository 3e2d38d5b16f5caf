package dev.dcgan.sampler;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** The rules of the house, over both programs and what they share. */
@AnalyzeClasses(packages = "dev.dcgan", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {

  @ArchTest
  static final ArchRule GRPC_IS_FOR_SERVICES_AND_CLIENTS =
      noClasses()
          .that(
              resideOutside(
                  "dev.dcgan.v1..",
                  "dev.dcgan.server..",
                  "dev.dcgan.sampler.client..",
                  "dev.dcgan.trainer.client.."))
          .and(areNotPartsOf("Service", "ServiceCall"))
          .should()
          .dependOnClassesThat()
          .resideInAPackage("io.grpc..");

  @ArchTest
  static final ArchRule THE_HTTP_SERVER_IS_FOR_THE_BOOTSTRAP =
      noClasses()
          .that(resideOutside("dev.dcgan.server.."))
          .should()
          .dependOnClassesThat()
          .resideInAPackage("com.sun.net.httpserver..");

  @ArchTest
  static final ArchRule ONNX_RUNTIME_IS_FOR_FEW_CLASSES =
      noClasses()
          .that(
              areNotPartsOf(
                  "OnnxRuntime",
                  "OnnxSignatures",
                  "OnnxSession",
                  "OnnxGenerator",
                  "GeneratorSession",
                  "BucketSessions",
                  "CudaProbe",
                  "RuntimeFailure",
                  "ExportCheck",
                  "OnnxFeatures"))
          .should()
          .dependOnClassesThat()
          .resideInAPackage("ai.onnxruntime..");

  @ArchTest
  static final ArchRule DJL_IS_FOR_TRAINING =
      noClasses()
          .that(
              resideOutside(
                  "dev.dcgan.trainer.data..",
                  "dev.dcgan.trainer.net..",
                  "dev.dcgan.trainer.train..",
                  "dev.dcgan.trainer.eval.."))
          .should()
          .dependOnClassesThat()
          .resideInAPackage("ai.djl..");

  @ArchTest
  static final ArchRule BATCHING_KNOWS_NO_TRANSPORT_AND_NO_RUNTIME =
      noClasses()
          .that()
          .resideInAPackage("dev.dcgan.sampler.batch..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("io.grpc..", "ai.onnxruntime..", "io.prometheus..", "dev.dcgan.v1..");

  /** DJL leaves a copy behind of a GPU array that is read, and so a long run's memory grows. */
  @ArchTest
  static final ArchRule ARRAYS_ARE_READ_BY_HOST_COPIES =
      noClasses()
          .that(areNotPartsOf("HostCopies"))
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
  static final ArchRule TRAINING_KNOWS_NO_EXPORT =
      noClasses()
          .that()
          .resideInAPackage("dev.dcgan.trainer.train..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.dcgan.trainer.onnx..")
          .allowEmptyShould(true);

  @ArchTest
  static final ArchRule THE_CONTRACT_KNOWS_NEITHER_PROGRAM =
      noClasses()
          .that()
          .resideInAnyPackage(
              "dev.dcgan.v1..", "dev.dcgan.model..", "dev.dcgan.latent..", "dev.dcgan.server..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("dev.dcgan.trainer..", "dev.dcgan.sampler..");

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

  /** Neither classes of a name that ends so, nor nested in one. */
  private static DescribedPredicate<JavaClass> areNotPartsOf(String... endings) {
    return DescribedPredicate.describe(
        "are not parts of *" + String.join(", *", endings),
        found -> {
          String outermost = found.getName().replaceFirst("\\$.*", "");
          for (String ending : endings) {
            if (outermost.endsWith(ending)) {
              return false;
            }
          }
          return true;
        });
  }
}
