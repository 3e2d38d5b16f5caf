package dev.dcgan.sampler.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.Priority;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ImageUrlTest {

  @Test
  void withoutParameters_itIsASheetOfSeed0() {
    assertThat(ImageUrl.parse(""))
        .isEqualTo(
            GenerateRequest.newBuilder()
                .setCount(25)
                .setFormat(ImageFormat.IMAGE_FORMAT_SHEET)
                .build());
  }

  @Test
  void allParameters_areTheFieldsOfARequest() {
    assertThat(
            ImageUrl.parse(
                "seed=18446744073709551615&count=4294967295&first=3&format=sheet&model=a%2Eb"
                    + "&version=7&temperature=.5&columns=9&priority=high"))
        .isEqualTo(
            GenerateRequest.newBuilder()
                .setSeed(-1)
                .setCount(-1)
                .setFirstIndex(3)
                .setFormat(ImageFormat.IMAGE_FORMAT_SHEET)
                .setModel("a.b")
                .setVersion(7)
                .setTemperature(0.5f)
                .setColumns(9)
                .setPriority(Priority.PRIORITY_HIGH)
                .build());
    assertThat(ImageUrl.parse("format=png").getCount()).isEqualTo(1);
    assertThat(ImageUrl.parse("format=float").getCount()).isEqualTo(1);
    assertThat(ImageUrl.parse("temperature=1e-3&priority=low").getTemperature()).isEqualTo(1e-3f);
  }

  @Test
  void seeds_areAList_orARepeatedSeed() {
    GenerateRequest sheet = ImageUrl.parse("seeds=7,7,18446744073709551615");
    assertThat(sheet.getSeedsList()).containsExactly(7L, 7L, -1L);
    assertThat(sheet.getCount()).as("images of each seed").isEqualTo(1);
    assertThat(ImageUrl.parse("seed=7&seed=7&seed=18446744073709551615")).isEqualTo(sheet);
    assertThat(ImageUrl.parse("seeds=7%2C8&count=3").getCount()).isEqualTo(3);
    assertThat(ImageUrl.parse("seeds=7&format=png").getSeedsList()).containsExactly(7L);
    assertThat(ImageUrl.parse("scale=4").getScale()).isEqualTo(4);
  }

  @Test
  void labels_mayRepeat_andHaveCommas() {
    assertThat(ImageUrl.parse("label=cat").getLabelsList()).containsExactly("cat");
    assertThat(ImageUrl.parse("label=a%2Cb,c&seed=1&label=7&label=7").getLabelsList())
        .containsExactly("a,b,c", "7", "7");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "seed=1&",
        "&seed=1",
        "seed=1&&",
        "&&seed=1&&&format=sheet",
        "seed=%31",
        "se%65d=1",
        "seed=1&utm_source=mail&utm_medium=a%20b&utm_source=c",
        "fbclid=x&seed=1&gclid=%zz",
        "gad_source=1&hsa_acc=2&seed=1&mtm_campaign=3&rb_clickid=4&_branch_match_id=5",
      })
  void emptyPartsAndTracking_areIgnored(String query) {
    assertThat(ImageUrl.parse(query)).isEqualTo(ImageUrl.parse("seed=1"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "raw", "float"})
  void columns_areIgnoredWithoutASheet(String format) {
    assertThat(ImageUrl.parse("columns=70000&format=" + format))
        .isEqualTo(ImageUrl.parse("format=" + format));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "seed=-1|seed '-1': expected a whole number from 0 to 18446744073709551615",
        "seed=|seed '': expected a whole number",
        "seed|seed '': expected a whole number",
        "seed=18446744073709551616|seed '18446744073709551616': expected a whole number",
        "seed=%2B1|seed '+1': expected",
        "seed=%D9%A3|expected a whole number",
        "count=4294967296|count '4294967296': expected a whole number from 0 to 4294967295",
        "count=x|count 'x': expected",
        "first=1.5|first '1.5': expected",
        "version=v1|version 'v1': expected",
        "columns=-5|columns '-5': expected",
        "temperature=NaN|temperature 'NaN': expected a number above 0, at most 2",
        "temperature=1f|temperature '1f': expected",
        "model=|model '': expected a model's name",
        "format=gif|format 'gif': expected sheet, png, raw or float",
        "format=PNG|format 'PNG': expected",
        "priority=urgent|priority 'urgent': expected low, normal or high",
        "format=png&count=2|count 2: format=png is one image",
        "count=1&count=1|parameter 'count' is there more than once",
        "seed=1&seed=|seed '': expected a whole number",
        "seeds=|seeds '': expected a whole number",
        "seeds=1,,2|seeds '': expected a whole number",
        "seeds=1,x|seeds 'x': expected a whole number",
        "seeds=1&seeds=2|parameter 'seeds' is there more than once",
        "seed=1&seeds=2|expected either seed, which may repeat, or seeds",
        "seeds=1,2&format=png|2 seeds: format=png is one image",
        "scale=2.5|scale '2.5': expected a whole number",
        "sede=1|parameter 'sede' is not known; there are seed, seeds, count, first",
        "first_index=1|parameter 'first_index' is not known",
        "=1|parameter '' is not known",
        "utmsource=1|parameter 'utmsource' is not known",
        "seed=%zz|'%zz' has a broken %-escape",
      })
  void whatIsWrong_isToldByTheParametersName(String query, String message) {
    RequestException refusal =
        catchThrowableOfType(RequestException.class, () -> ImageUrl.parse(query));
    assertThat(refusal.code()).isEqualTo(RequestException.Code.INVALID);
    assertThat(refusal).hasMessageContaining(message);
  }
}
