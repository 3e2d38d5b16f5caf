package dev.dcgan.e2e;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import io.grpc.EquivalentAddressGroup;
import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import io.grpc.StatusOr;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Resolves to the replicas on this machine, by port, as the DNS of a cluster resolves a headless
 * Service to its pods. Channels are notified of changes. Thread-safe.
 */
final class Replicas extends NameResolverProvider {

  private static final String SCHEME = "replicas";

  // Mutable state
  @GuardedBy("this") private final List<Integer> ports = new ArrayList<>();

  @GuardedBy("this") private final List<NameResolver.Listener2> listeners = new ArrayList<>();

  /** The target of a channel. */
  static String target() {
    return SCHEME + ":///sampler";
  }

  synchronized void add(int port) {
    ports.add(port);
    listeners.forEach(this::publish);
  }

  synchronized void remove(int port) {
    ports.remove(Integer.valueOf(port));
    listeners.forEach(this::publish);
  }

  private synchronized void publish(NameResolver.Listener2 listener) {
    List<EquivalentAddressGroup> addresses =
        ports.stream()
            .map(port -> new InetSocketAddress(InetAddress.getLoopbackAddress(), port))
            .map(EquivalentAddressGroup::new)
            .toList();
    listener.onResult(
        NameResolver.ResolutionResult.newBuilder()
            .setAddressesOrError(StatusOr.fromValue(addresses))
            .build());
  }

  private synchronized void subscribe(NameResolver.Listener2 listener) {
    listeners.add(listener);
    publish(listener);
  }

  private synchronized void unsubscribe(NameResolver.Listener2 listener) {
    listeners.remove(listener);
  }

  @Override
  public NameResolver newNameResolver(URI uri, NameResolver.Args args) {
    return new Resolver();
  }

  @Override
  protected boolean isAvailable() {
    return true;
  }

  @Override
  protected int priority() {
    return 5;
  }

  @Override
  public String getDefaultScheme() {
    return SCHEME;
  }

  /** The resolver of one channel. It is notified of every change and never polls. */
  private final class Resolver extends NameResolver {

    private @Nullable Listener2 listener;

    @Override
    public String getServiceAuthority() {
      return "sampler";
    }

    @Override
    public void start(Listener2 listener) {
      this.listener = listener;
      subscribe(listener);
    }

    @Override
    public void shutdown() {
      if (listener != null) {
        unsubscribe(listener);
      }
    }
  }
}
