package dev.dcgan.server;

import java.time.Duration;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Option;

/** The options of a gRPC server's limits for clients. */
public final class GrpcLimitsOptions {

  // Netty buffers the headers of a request; proxies allow far less.
  private static final int MAX_METADATA_KIB = 1024;

  @Option(
      names = "--permit-keepalive",
      paramLabel = "TIME",
      showDefaultValue = Visibility.NEVER,
      description =
          "Shortest interval of gRPC clients' keepalive pings, with or without calls; a client that"
              + " pings more often is disconnected (too_many_pings). Default: 500ms")
  private Duration permitKeepalive = GrpcLimits.DEFAULT.permitKeepalive();

  @Option(
      names = "--max-metadata",
      paramLabel = "KIB",
      description = "Maximum size of the metadata (headers) of a gRPC call, in KiB.")
  private int maxMetadata = GrpcLimits.DEFAULT.maxMetadataBytes() >> 10;

  /** Reports each invalid option. */
  public void check(Validator validator) {
    validator.requireRange("--permit-keepalive (in ms)", permitKeepalive.toMillis(), 0, 7_200_000);
    validator.requireRange("--max-metadata (in KiB)", maxMetadata, 1, MAX_METADATA_KIB);
  }

  public GrpcLimits limits() {
    return new GrpcLimits(permitKeepalive, maxMetadata << 10);
  }
}
