package dev.dcgan.server;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.encoder.JsonEncoder;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.OutputStreamAppender;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Option;

/** The option for the form of the log. */
public final class LogOptions {

  private static final String TEXT = "text";
  private static final String JSON = "json";

  @Option(
      names = "--log-format",
      paramLabel = "FORMAT",
      description =
          "Form of the log: text, or json: one object a line, with the caller, the request id and"
              + " the trace id of a call.")
  private String format = TEXT;

  /** Reports an unknown format. */
  public void check(Validator validator) {
    validator.require(
        format.equals(TEXT) || format.equals(JSON),
        "--log-format '%s': expected text or json".formatted(format));
  }

  /** Logs in that form from now on. */
  public void apply() {
    if (format.equals(JSON) && LoggerFactory.getILoggerFactory() instanceof LoggerContext context) {
      Logger root = context.getLogger(Logger.ROOT_LOGGER_NAME);
      root.iteratorForAppenders()
          .forEachRemaining(
              appender -> {
                if (appender instanceof OutputStreamAppender<ILoggingEvent> output) {
                  JsonEncoder encoder = new JsonEncoder();
                  encoder.setContext(context);
                  encoder.setWithSequenceNumber(false);
                  encoder.setWithNanoseconds(false);
                  encoder.setWithContext(false);
                  encoder.setWithMessage(false);
                  encoder.setWithArguments(false);
                  encoder.setWithFormattedMessage(true);
                  encoder.start();
                  output.setEncoder(encoder);
                }
              });
    }
  }
}
