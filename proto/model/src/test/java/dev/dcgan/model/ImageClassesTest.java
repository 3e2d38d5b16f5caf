package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ImageClassesTest {

  private static final ImageClasses PETS =
      new ImageClasses(List.of("cat", "2", "dog"), List.of(5L, 1L, 4L));

  @Test
  void find_takesANameFirst() {
    assertThat(PETS.find("dog")).hasValue(2);
    assertThat(PETS.find("2")).hasValue(1);
    assertThat(PETS.find("0")).hasValue(0);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "Cat", "3", "-1", "+1", "99999", "999999999999", "٠"})
  void find_refusesWhatIsNeither(String text) {
    assertThat(PETS.find(text)).isEmpty();
  }

  @Test
  void toProto_keepsNamesAndCounts() {
    ImageClasses read = ImageClasses.fromProto(PETS.toProto());

    assertThat(read.name(1)).isEqualTo("2");
    assertThat(read.images(0)).isEqualTo(5);
    assertThat(read.images(2)).isEqualTo(4);
    assertThat(read).hasToString("cat (0), 2 (1), dog (2)");
  }

  @Test
  void constructor_refusesClassesThatCannotBe() {
    assertThatThrownBy(() -> new ImageClasses(List.of("a"), List.of(1L)))
        .hasMessage("1 classes; expected 2 to 10000");
    assertThatThrownBy(() -> new ImageClasses(List.of("a", "a"), List.of(1L, 1L)))
        .hasMessage("class 1 has the name 'a'; expected a name that no other class has");
    assertThatThrownBy(() -> new ImageClasses(List.of("a", "b"), List.of(1L, -1L)))
        .hasMessageStartingWith("class 'b' has 18446744073709551615 images");
    assertThatThrownBy(() -> new ImageClasses(List.of("a", "b"), List.of(Long.MAX_VALUE, 1L)))
        .hasMessageStartingWith("class 'b' has 1 images; expected 1 or more, fewer than 2^63");
  }
}
