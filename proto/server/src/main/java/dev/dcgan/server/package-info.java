/** Support for both programs: command line, gRPC server, HTTP endpoint, metrics, TLS, errors. */
@org.jspecify.annotations.NullMarked
package dev.dcgan.server;
