/** The trainer as a gRPC service: runs that wait, the run that trains, and those who watch it. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.trainer.service;
