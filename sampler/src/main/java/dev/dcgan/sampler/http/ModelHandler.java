package dev.dcgan.sampler.http;

import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import dev.dcgan.sampler.core.ImageService.Reserved;
import dev.dcgan.sampler.core.ModelRef;
import dev.dcgan.sampler.core.ModelResponses;
import dev.dcgan.sampler.core.ModelService;
import dev.dcgan.sampler.core.PendingResponse;
import dev.dcgan.sampler.core.RequestContext;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.server.AccessControl;
import dev.dcgan.server.CallTrace;
import dev.dcgan.server.HttpCall;
import dev.dcgan.server.HttpPage;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.ListModelsResponse;
import dev.dcgan.v1.ServedModel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletionException;

/**
 * What is known of the models, as protobuf's JSON: {@code /v1/models} is what {@code ListModels}
 * responds, {@code /v1/model?model=digits&version=3} is {@code GetModel}. Both leave the golden
 * vectors out. Thread-safe.
 */
public final class ModelHandler {

  private static final Set<String> PARAMETERS = Set.of("model", "version");

  private final ModelService models;
  private final int grpcPort;
  private final boolean grpcTls;

  private ModelHandler(ModelService models, int grpcPort, boolean grpcTls) {
    this.models = models;
    this.grpcPort = grpcPort;
    this.grpcTls = grpcTls;
  }

  /**
   * The handlers by path.
   *
   * @param grpcPort the port of gRPC and whether it has TLS, which responses tell in headers
   */
  public static Map<String, HttpPage> pages(ModelService models, int grpcPort, boolean grpcTls) {
    ModelHandler handler = new ModelHandler(models, grpcPort, grpcTls);
    return Map.of("/v1/models", handler::list, "/v1/model", handler::get);
  }

  private void list(HttpCall call) throws IOException {
    respond(
        call,
        models.list(
            context(call),
            (list, skipped) -> {
              ListModelsResponse.Builder response =
                  ModelResponses.of(list, skipped, ResponseBudget.MAX_RESPONSE_BYTES).toBuilder();
              response
                  .getModelsBuilderList()
                  .forEach(model -> model.getManifestBuilder().clearGolden());
              return response.build();
            }));
  }

  private void get(HttpCall call) throws IOException {
    GenerateRequest.Builder query = GenerateRequest.newBuilder();
    try {
      ImageUrl.parameters(call.query())
          .forEach(
              (name, values) -> {
                if (!PARAMETERS.contains(name)) {
                  throw RequestException.of(
                      RequestException.Code.INVALID,
                      "parameter '%s' is not known; there are model and version".formatted(name));
                }
                ImageUrl.set(query, name, values);
              });
    } catch (RequestException e) {
      HttpErrors.refuse(call, e);
      return;
    }
    respond(
        call,
        models.get(
            context(call),
            new ModelRef(query.getModel(), query.getVersion()),
            status -> {
              ServedModel.Builder model = ModelResponses.of(status).toBuilder();
              model.getManifestBuilder().clearGolden();
              return model.build();
            }));
  }

  /** Reading a manifest takes milliseconds: there is no deadline. */
  private static RequestContext context(HttpCall call) {
    return new RequestContext(
        call.connection(), AccessControl.callerKey(), false, 0, Runnable::run, CallTrace.current());
  }

  private <T extends MessageOrBuilder> void respond(
      HttpCall call, PendingResponse<Reserved<T>> pending) throws IOException {
    Reserved<T> made;
    try {
      made = pending.future().join();
    } catch (CompletionException e) {
      HttpErrors.refuse(call, RequestException.of(e));
      return;
    }
    try {
      String text = JsonFormat.printer().omittingInsignificantWhitespace().print(made.value());
      byte[] json = text.getBytes(StandardCharsets.UTF_8);
      call.header("Content-Type", "application/json");
      call.header("Cache-Control", "no-store");
      call.header("X-Grpc-Port", Integer.toString(grpcPort));
      call.header("X-Grpc-Tls", Boolean.toString(grpcTls));
      call.send(200, json.length, out -> out.write(json), made.memory()::close);
    } catch (IOException | RuntimeException | Error e) {
      made.memory().close();
      throw e;
    }
  }
}
