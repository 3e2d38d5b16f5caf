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
 * Names the replicas on this machine, by their ports, as a cluster's DNS names the pods of a
 * headless Service; who has asked once is told of changes. Thread-safe.
 */
final class Replicas extends NameResolverProvider {

  private static final String SCHEME = "replicas";

  // Mutable state
  @GuardedBy("this") private final List<Integer> ports = new ArrayList<>();

  @GuardedBy("this") private final List<NameResolver.Listener2> listeners = new ArrayList<>();

  /** What a channel is made for. */
  static String target() {
    return SCHEME + ":///sampler";
  }

  synchronized void add(int port) {
    ports.add(port);
    listeners.forEach(this::tell);
  }

  synchronized void remove(int port) {
    ports.remove(Integer.valueOf(port));
    listeners.forEach(this::tell);
  }

  private synchronized void tell(NameResolver.Listener2 listener) {
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

  private synchronized void listen(NameResolver.Listener2 listener) {
    listeners.add(listener);
    tell(listener);
  }

  private synchronized void leave(NameResolver.Listener2 listener) {
    listeners.remove(listener);
  }

  @Override
  public NameResolver newNameResolver(URI uri, NameResolver.Args args) {
    return new Asking();
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

  /** One channel's; told of every change, it need not ask again. */
  private final class Asking extends NameResolver {

    private @Nullable Listener2 listener;

    @Override
    public String getServiceAuthority() {
      return "sampler";
    }

    @Override
    public void start(Listener2 listener) {
      this.listener = listener;
      listen(listener);
    }

    @Override
    public void shutdown() {
      if (listener != null) {
        leave(listener);
      }
    }
  }
}
