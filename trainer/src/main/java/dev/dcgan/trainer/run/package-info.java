/** A run on disk: its directory, state, events and lock. Knows neither DJL nor gRPC. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.run;
