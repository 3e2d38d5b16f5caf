/** The trainer as a gRPC service: queued runs, the active run and its subscribers. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.service;
