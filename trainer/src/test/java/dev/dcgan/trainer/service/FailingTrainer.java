package dev.dcgan.trainer.service;

import ai.djl.engine.EngineException;
import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.turbo.TurboFilter;
import ch.qos.logback.core.spi.FilterReply;
import dev.dcgan.trainer.TrainerMain;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;
import org.slf4j.Marker;
import org.slf4j.helpers.MessageFormatter;

/**
 * The trainer's command line, in which PyTorch fails at the end of an epoch, on the thread that
 * trains: as the line of that epoch is written to the log.
 *
 * <p>Arguments: the line's beginning, which is waited for; PyTorch's message; the command line.
 */
public final class FailingTrainer {

  private FailingTrainer() {}

  public static void main(String[] args) {
    AtomicInteger failures = new AtomicInteger();
    LoggerContext context = (LoggerContext) LoggerFactory.getILoggerFactory();
    context.addTurboFilter(
        new TurboFilter() {
          @Override
          public FilterReply decide(
              @Nullable Marker marker,
              Logger logger,
              Level level,
              @Nullable String format,
              Object @Nullable [] params,
              @Nullable Throwable thrown) {
            if (level == Level.INFO
                && format != null
                && format.startsWith("epoch ")
                && MessageFormatter.arrayFormat(format, params).getMessage().startsWith(args[0])
                && failures.getAndIncrement() == 0) {
              throw new EngineException(args[1]);
            }
            return FilterReply.NEUTRAL;
          }
        });
    String[] line = new String[args.length - 2];
    System.arraycopy(args, 2, line, 0, line.length);
    TrainerMain.main(line);
  }
}
