package dev.dcgan.sampler.cli.client;

import com.google.protobuf.ByteString;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageShape;
import dev.dcgan.v1.ListModelsRequest;
import dev.dcgan.v1.ListModelsResponse;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/** A sampler on a socket: it returns black images of 2 x 3 pixels, or behaves as the test says. */
final class FakeSampler extends SamplerServiceGrpc.SamplerServiceImplBase implements AutoCloseable {

  /** Responds to a call, on a thread of gRPC. */
  interface Behaviour {
    void respond(GenerateRequest request, StreamObserver<GenerateResponse> observer);
  }

  static final int PIXELS = 2 * 3;

  /** Images in each message of a stream except the last. */
  static final int CHUNK = 2;

  /** In the order of their arrival. */
  final Queue<GenerateRequest> requests = new ConcurrentLinkedQueue<>();

  private final Server server;
  private volatile Behaviour behaviour = FakeSampler::respond;

  private FakeSampler() throws IOException {
    server =
        Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
            .directExecutor()
            .addService(this)
            .build()
            .start();
  }

  static FakeSampler start() throws IOException {
    return new FakeSampler();
  }

  String target() {
    return "127.0.0.1:" + server.getPort();
  }

  void behave(Behaviour from) {
    behaviour = from;
  }

  List<Long> firstIndices() {
    return requests.stream().map(GenerateRequest::getFirstIndex).toList();
  }

  @Override
  public void generate(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    requests.add(request);
    behaviour.respond(request, observer);
  }

  @Override
  public void generateStream(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    requests.add(request);
    for (int done = 0; done < request.getCount(); done += CHUNK) {
      int count = Math.min(CHUNK, request.getCount() - done);
      observer.onNext(images(request.getFirstIndex() + done, count).build());
    }
    observer.onCompleted();
  }

  @Override
  public void listModels(ListModelsRequest request, StreamObserver<ListModelsResponse> observer) {
    observer.onNext(ListModelsResponse.getDefaultInstance());
    observer.onCompleted();
  }

  @Override
  public void close() {
    server.shutdownNow();
  }

  static void respond(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    respond(images(request.getFirstIndex(), request.getCount()), observer);
  }

  static void respond(
      GenerateResponse.Builder response, StreamObserver<GenerateResponse> observer) {
    observer.onNext(response.build());
    observer.onCompleted();
  }

  static GenerateResponse.Builder images(long first, int count) {
    return GenerateResponse.newBuilder()
        .setModel(ModelVersion.newBuilder().setName("black").setVersion(1))
        .setShape(ImageShape.newBuilder().setHeight(2).setWidth(3).setChannels(1))
        .setFirstIndex(first)
        .setCount(count)
        .setProvider("cpu")
        .setPixels(ByteString.copyFrom(new byte[count * PIXELS]));
  }
}
