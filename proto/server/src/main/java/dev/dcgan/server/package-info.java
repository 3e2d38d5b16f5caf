/** The bootstrap that both services start with: settings, gRPC, HTTP, metrics, errors. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.server;
