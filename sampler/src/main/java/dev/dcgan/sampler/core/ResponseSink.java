package dev.dcgan.sampler.core;

/** Takes the responses of a stream. Called by one thread at a time. */
public interface ResponseSink<R> {

  /** Closes the reservation when the client has all responses, or is gone; called first, once. */
  void hold(ResponseBudget.Reservation memory);

  /** Whether another response can be sent without being kept in memory. */
  boolean isReady();

  void send(R response);

  void complete();

  void fail(RequestException reason);
}
