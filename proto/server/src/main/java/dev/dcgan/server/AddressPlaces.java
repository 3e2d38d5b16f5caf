package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.util.HashMap;
import java.util.Map;

/** Places of which clients of one address may take half, but at least one. Thread-safe. */
final class AddressPlaces {

  private final int places;

  // Mutable state
  @GuardedBy("this") private final Map<String, Integer> byAddress = new HashMap<>();

  @GuardedBy("this") private int taken;

  AddressPlaces(int places) {
    this.places = places;
  }

  /** The places that clients of one address may take. */
  static int ofAddress(int places) {
    return Math.min(places, Math.max(1, places / 2));
  }

  /** Takes a place. Returns false if there is none for that address now. */
  synchronized boolean tryTake(String address) {
    int others = byAddress.getOrDefault(address, 0);
    if (taken == places || others == ofAddress(places)) {
      return false;
    }
    byAddress.put(address, others + 1);
    taken++;
    return true;
  }

  /** Returns a place that {@link #tryTake} took. */
  synchronized void free(String address) {
    byAddress.computeIfPresent(address, (key, count) -> count == 1 ? null : count - 1);
    taken--;
  }
}
