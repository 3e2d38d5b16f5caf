package dev.dcgan.server;

import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The TLS configuration of a {@link GrpcServer} and an {@link HttpEndpoint}; see {@link
 * ServerTlsOptions}.
 *
 * @param certificates PEM: the server's certificate first, then the intermediate certificates
 * @param key PEM, PKCS#8: the server's private key
 * @param clientCa PEM: the CAs of client certificates, which are then required (mTLS); null:
 *     clients need no certificate
 * @param pollInterval the interval at which the files are checked for changes, greater than 0
 * @param sessionLifetime how long a client may resume a TLS session without presenting its
 *     certificate again; up to one poll interval longer
 */
public record ServerTls(
    Path certificates,
    Path key,
    @Nullable Path clientCa,
    Duration pollInterval,
    Duration sessionLifetime) {}
