package dev.dcgan.server;

import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The files that a {@link GrpcServer} takes its TLS from; see {@link ServerTlsOptions}.
 *
 * @param certificates PEM: the server's certificate first, then those that vouch for it
 * @param key PEM, PKCS#8
 * @param clientCa PEM: who may vouch for clients, which must then show a certificate; null: whoever
 *     calls is served
 * @param poll how often to look whether the files have changed, above 0
 * @param sessions how long a client may resume a session, which spares it another proof of who it
 *     is, to one look more
 */
public record ServerTls(
    Path certificates, Path key, @Nullable Path clientCa, Duration poll, Duration sessions) {}
