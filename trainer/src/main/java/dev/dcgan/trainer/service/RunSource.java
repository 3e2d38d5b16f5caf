package dev.dcgan.trainer.service;

import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.v1.Run;
import java.io.IOException;
import java.util.List;

/** Runs to read. Thread-safe. */
interface RunSource {

  /**
   * Some runs, newest first.
   *
   * @param next the token of the next page; empty: there is none
   */
  record Page(List<Run> runs, String next) {}

  /**
   * At most {@code size} runs, newest first; fewer if they are large.
   *
   * @param after the token of the page; empty: the first page
   */
  Page list(int size, String after) throws IOException;

  /** The run of that id. */
  Run get(String id) throws RequestException, IOException;

  /** Opens a run to read its events; the caller closes the hold. */
  RunRecords.Hold watch(String id) throws RequestException, IOException;

  /** The files of a run. */
  RunDirectory folder(String id) throws RequestException;
}
