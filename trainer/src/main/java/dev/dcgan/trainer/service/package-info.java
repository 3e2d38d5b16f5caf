/** The trainer as a service over gRPC and HTTP: queued runs, the active run, its subscribers. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.service;
