/** The bootstrap that both services start with: settings, gRPC, metrics, errors. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.server;
