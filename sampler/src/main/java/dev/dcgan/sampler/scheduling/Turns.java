package dev.dcgan.sampler.scheduling;

import java.util.LinkedHashSet;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Flows with queued images that take turns: fair queueing as in FQ-CoDel (RFC 8290), with two
 * lists.
 *
 * <ol>
 *   <li>A flow that has not finished its first turn is new. New flows come first, in order of
 *       arrival.
 *   <li>Old flows take turns by deficit round-robin (Shreedhar and Varghese 1995). A turn that the
 *       end of a batch interrupts is continued in the next.
 *   <li>Where both lists have flows, each gets half of the images, so that a flood of new flows
 *       does not starve old ones, and old flows delay no new one.
 *   <li>An urgent flow goes before the new ones; its images count as those of new flows.
 * </ol>
 *
 * <p>Not thread-safe.
 */
final class Turns<F extends Turns.Flow> {

  /** What gets a fair share of the images: a caller, or one of its requests. */
  abstract static class Flow {

    // Mutable state
    /** Images that are left of the current turn; 0: the next turn has not begun. */
    int deficit;

    /** Whether a batch has taken any of its images. */
    boolean hasRun;
  }

  // Mutable state
  private final Set<F> newFlows = new LinkedHashSet<>();
  private final Set<F> oldFlows = new LinkedHashSet<>();

  /** How many more images new flows got than old ones since both lists have flows. */
  private int balance;

  int flows() {
    return newFlows.size() + oldFlows.size();
  }

  void forEach(Consumer<F> action) {
    newFlows.forEach(action);
    oldFlows.forEach(action);
  }

  /** Adds a flow that has had no queued images. */
  void add(F flow) {
    (flow.hasRun ? oldFlows : newFlows).add(flow);
  }

  /** Removes a flow that has no more queued images. */
  void remove(F flow) {
    newFlows.remove(flow);
    oldFlows.remove(flow);
    flow.deficit = 0;
  }

  /**
   * Whose turn it is; there must be a flow.
   *
   * @param urgent one of the flows; null: none is urgent
   */
  F next(@Nullable F urgent) {
    if (!isTurnOfNew(urgent)) {
      return oldFlows.iterator().next();
    }
    return urgent == null ? newFlows.iterator().next() : urgent;
  }

  /** Begins the turn of a flow, of so many images, unless an earlier one is to be continued. */
  static void begin(Flow flow, int images) {
    if (flow.deficit == 0) {
      flow.deficit = images;
    }
  }

  /** Counts images that the flow of {@link #next} gets, at most what is left of its turn. */
  void grant(F flow, int images, @Nullable F urgent) {
    boolean asNew = isTurnOfNew(urgent);
    balance = isContended(urgent) ? balance + (asNew ? images : -images) : 0;
    flow.hasRun = true;
    flow.deficit -= images;
    if (flow.deficit == 0) {
      newFlows.remove(flow);
      oldFlows.remove(flow);
      oldFlows.add(flow);
    }
  }

  /**
   * Estimates how many images of these flows run while a new flow gets so many: the first turns of
   * the new flows and as many images of old ones, and then from each flow no more than the new one
   * gets beyond its first turn.
   */
  double imagesAhead(double requested, Priority priority, int queued, long outstanding) {
    double firstTurns = 2.0 * newFlows.size() * Priority.NORMAL.quantum;
    double fairShares = flows() * Math.max(0, requested - priority.quantum);
    return Math.min((double) outstanding, Math.min(queued, firstTurns) + fairShares);
  }

  private boolean isContended(@Nullable F urgent) {
    return !oldFlows.isEmpty() && (urgent != null || !newFlows.isEmpty());
  }

  private boolean isTurnOfNew(@Nullable F urgent) {
    return oldFlows.isEmpty() || (isContended(urgent) && balance <= 0);
  }
}
