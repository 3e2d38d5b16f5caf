package dev.dcgan.trainer;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import picocli.CommandLine.Command;

/** Which package may use which; every arrow points down the list. */
@AnalyzeClasses(
    packages = "dev.dcgan.trainer",
    importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {

  private static final String ROOT = "dev.dcgan.trainer.";

  @ArchTest
  static final ArchRule PACKAGES_ARE_FREE_OF_CYCLES =
      slices().matching("dev.dcgan.trainer.(**)").should().beFreeOfCycles();

  @ArchTest
  static final ArchRule SERVICE =
      uses("service", "session", "publish", "run", "config", "checkpoint", "torch");

  @ArchTest
  static final ArchRule SESSION =
      uses(
          "session",
          "session.listener",
          "metrics",
          "publish",
          "run",
          "train",
          "eval",
          "config",
          "data",
          "data.digits",
          "checkpoint",
          "gan",
          "torch");

  @ArchTest
  static final ArchRule SESSION_LISTENER =
      uses(
          "session.listener",
          "metrics",
          "publish",
          "run",
          "train",
          "eval",
          "config",
          "data",
          "tensorboard",
          "checkpoint",
          "gan",
          "torch");

  @ArchTest static final ArchRule METRICS = uses("metrics", "train", "eval", "torch");

  @ArchTest
  static final ArchRule PUBLISH =
      uses("publish", "run", "checkpoint", "onnx", "train", "eval", "config", "gan", "torch");

  @ArchTest static final ArchRule RUN = uses("run", "checkpoint");

  @ArchTest
  static final ArchRule TRAIN = uses("train", "checkpoint", "config", "gan", "data", "torch");

  @ArchTest static final ArchRule EVAL = uses("eval", "data", "gan", "torch");

  @ArchTest static final ArchRule ONNX = uses("onnx", "gan");

  @ArchTest static final ArchRule CHECKPOINT = uses("checkpoint", "config", "gan", "torch");

  @ArchTest static final ArchRule CONFIG = uses("config", "gan", "torch");

  @ArchTest static final ArchRule GAN = uses("gan", "torch");

  @ArchTest static final ArchRule TORCH = uses("torch");

  @ArchTest static final ArchRule TENSORBOARD = uses("tensorboard");

  @ArchTest
  static final ArchRule RUN_KNOWS_NEITHER_DJL_NOR_GRPC =
      noClasses()
          .that()
          .resideInAPackage(ROOT + "run")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("ai.djl..", "io.grpc..");

  @ArchTest
  static final ArchRule GRPC_IS_FOR_THE_SERVICE_AND_ITS_CLIENTS =
      noClasses()
          .that()
          .resideOutsideOfPackages(ROOT + "service", ROOT + "cli.client")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("io.grpc..");

  /** The entry point and the commands are exempt: the JVM and picocli use them. */
  @ArchTest
  static final ArchRule PUBLIC_TYPES_HAVE_OUTSIDE_USERS =
      classes()
          .that()
          .arePublic()
          .and()
          .areTopLevelClasses()
          .and()
          .doNotHaveFullyQualifiedName(TrainerMain.class.getName())
          .and()
          .doNotHaveSimpleName("GanNetworks") // Tests of other packages train single steps.
          .and()
          .areNotAnnotatedWith(Command.class)
          .should(haveAnOutsideUser());

  /** A package uses only those packages of the trainer; subpackages are named apart. */
  private static ArchRule uses(String name, String... used) {
    String[] allowed =
        Stream.concat(Stream.of(name), Arrays.stream(used))
            .map(each -> ROOT + each)
            .toArray(String[]::new);
    return noClasses()
        .that()
        .resideInAPackage(ROOT + name)
        .should()
        .dependOnClassesThat(
            resideInAnyPackage("dev.dcgan.trainer..")
                .and(DescribedPredicate.not(resideInAnyPackage(allowed))))
        .as("package %s uses only %s".formatted(name, List.of(used)));
  }

  private static ArchCondition<JavaClass> haveAnOutsideUser() {
    return new ArchCondition<>("have a user in another package") {
      @Override
      public void check(JavaClass type, ConditionEvents events) {
        boolean isUsed =
            Stream.concat(Stream.of(type), nested(type))
                .flatMap(used -> used.getDirectDependenciesToSelf().stream())
                .map(Dependency::getOriginClass)
                .anyMatch(user -> !user.getPackageName().equals(type.getPackageName()));
        events.add(
            new SimpleConditionEvent(
                type, isUsed, type.getName() + " is public, but no other package uses it"));
      }
    };
  }

  /** Types that are declared in a type: such a user needs the outer one to be public. */
  private static Stream<JavaClass> nested(JavaClass type) {
    return type.getPackage().getClasses().stream()
        .filter(other -> other.getName().startsWith(type.getName() + "$"))
        .filter(other -> other.getModifiers().contains(JavaModifier.PUBLIC));
  }
}
