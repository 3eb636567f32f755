package tracehound.kit;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import zipkin2.Call;
import zipkin2.Callback;
import zipkin2.CheckResult;
import zipkin2.DependencyLink;
import zipkin2.Span;
import zipkin2.codec.DependencyLinkBytesDecoder;
import zipkin2.codec.SpanBytesDecoder;
import zipkin2.codec.SpanBytesEncoder;
import zipkin2.storage.AutocompleteTags;
import zipkin2.storage.QueryRequest;
import zipkin2.storage.ServiceAndSpanNames;
import zipkin2.storage.SpanConsumer;
import zipkin2.storage.SpanStore;
import zipkin2.storage.StorageComponent;
import zipkin2.storage.Traces;

import static java.nio.charset.StandardCharsets.UTF_8;

/** Zipkin's storage interface, answered by a server's public HTTP API and by nothing else. */
final class HttpStorage extends StorageComponent
    implements SpanStore, Traces, ServiceAndSpanNames, AutocompleteTags {
  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final ServerProcess server;

  private HttpStorage(Map<String, String> options) throws IOException {
    server = ServerProcess.start(client, options);
  }

  /** Turns what a test asks for into the environment variables of Zipkin's server. */
  static final class Builder extends StorageComponent.Builder {
    private final Map<String, String> options = new LinkedHashMap<>();

    @Override public Builder strictTraceId(boolean strictTraceId) {
      options.put("STRICT_TRACE_ID", Boolean.toString(strictTraceId));
      return this;
    }

    @Override public Builder searchEnabled(boolean searchEnabled) {
      options.put("SEARCH_ENABLED", Boolean.toString(searchEnabled));
      return this;
    }

    @Override public Builder autocompleteKeys(List<String> keys) {
      options.put("AUTOCOMPLETE_KEYS", String.join(",", keys));
      return this;
    }

    @Override public HttpStorage build() {
      try {
        return new HttpStorage(options);
      } catch (IOException e) {
        throw new IllegalStateException("cannot start the server under test", e);
      }
    }
  }

  @Override public SpanConsumer spanConsumer() {
    return spans -> new HttpCall<>(
        HttpRequest.newBuilder(server.base().resolve("/api/v2/spans"))
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofByteArray(SpanBytesEncoder.JSON_V2.encodeList(spans))).build(),
        response -> {
          expect(response, 202);
          try {
            server.awaitDelivered(client);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
          return null;
        });
  }

  @Override public Call<List<List<Span>>> getTraces(QueryRequest request) {
    Map<String, Object> parameters = new LinkedHashMap<>();
    parameters.put("serviceName", request.serviceName());
    parameters.put("remoteServiceName", request.remoteServiceName());
    parameters.put("spanName", request.spanName());
    parameters.put("annotationQuery", request.annotationQueryString());
    parameters.put("minDuration", request.minDuration());
    parameters.put("maxDuration", request.maxDuration());
    parameters.put("endTs", request.endTs());
    parameters.put("lookback", request.lookback());
    parameters.put("limit", request.limit());
    return get("/api/v2/traces", parameters, HttpStorage::traces);
  }

  @Override public Call<List<DependencyLink>> getDependencies(long endTs, long lookback) {
    if (endTs <= 0) throw new IllegalArgumentException("endTs <= 0");
    if (lookback <= 0) throw new IllegalArgumentException("lookback <= 0");
    return get("/api/v2/dependencies", Map.of("endTs", endTs, "lookback", lookback),
        body -> DependencyLinkBytesDecoder.JSON_V1.decodeList(body.getBytes(UTF_8)));
  }

  @Override public Call<List<Span>> getTrace(String traceId) {
    String path = "/api/v2/trace/" + Span.normalizeTraceId(traceId);
    return new HttpCall<>(request(path, Map.of()), response -> {
      if (response.statusCode() == 404) return List.of();
      expect(response, 200);
      return spans(response.body());
    });
  }

  /** The API refuses repeated ids, and single ones in favour of {@code /trace/{id}}. */
  @Override public Call<List<List<Span>>> getTraces(Iterable<String> traceIds) {
    Set<String> ids = new LinkedHashSet<>();
    traceIds.forEach(id -> ids.add(Span.normalizeTraceId(id)));
    if (ids.isEmpty()) return Call.emptyList();
    if (ids.size() == 1) {
      return getTrace(ids.iterator().next())
          .map(trace -> trace.isEmpty() ? List.of() : List.of(trace));
    }
    return get("/api/v2/traceMany", Map.of("traceIds", String.join(",", ids)),
        HttpStorage::traces);
  }

  @Override public Call<List<String>> getServiceNames() {
    return get("/api/v2/services", Map.of(), HttpStorage::names);
  }

  @Override public Call<List<String>> getRemoteServiceNames(String serviceName) {
    return get("/api/v2/remoteServices", Map.of("serviceName", serviceName), HttpStorage::names);
  }

  @Override public Call<List<String>> getSpanNames(String serviceName) {
    return get("/api/v2/spans", Map.of("serviceName", serviceName), HttpStorage::names);
  }

  @Override public Call<List<String>> getKeys() {
    return get("/api/v2/autocompleteKeys", Map.of(), HttpStorage::names);
  }

  @Override public Call<List<String>> getValues(String key) {
    return get("/api/v2/autocompleteValues", Map.of("key", key), HttpStorage::names);
  }

  @Override public SpanStore spanStore() {
    return this;
  }

  @Override public Traces traces() {
    return this;
  }

  @Override public ServiceAndSpanNames serviceAndSpanNames() {
    return this;
  }

  @Override public AutocompleteTags autocompleteTags() {
    return this;
  }

  /** Always well: a server that does not become healthy is an error in {@link Builder#build}. */
  @Override public CheckResult check() {
    return CheckResult.OK;
  }

  @Override public void close() {
    server.close();
  }

  private <V> Call<V> get(String path, Map<String, Object> parameters, Function<String, V> read) {
    return new HttpCall<>(request(path, parameters), response -> {
      expect(response, 200);
      return read.apply(response.body());
    });
  }

  private HttpRequest request(String path, Map<String, Object> parameters) {
    List<String> pairs = new ArrayList<>();
    parameters.forEach((name, value) -> {
      if (value != null) pairs.add(name + "=" + URLEncoder.encode(value.toString(), UTF_8));
    });
    String query = pairs.isEmpty() ? "" : "?" + String.join("&", pairs);
    return HttpRequest.newBuilder(URI.create(server.base() + path + query)).build();
  }

  private static void expect(HttpResponse<String> response, int status) {
    if (response.statusCode() == status) return;
    throw new IllegalStateException(
        response.request().method() + " " + response.uri() + " answered "
            + response.statusCode() + ", not " + status + ": " + response.body());
  }

  private static List<Span> spans(String json) {
    return SpanBytesDecoder.JSON_V2.decodeList(json.getBytes(UTF_8));
  }

  private static List<List<Span>> traces(String json) {
    List<List<Span>> traces = new ArrayList<>();
    for (JsonElement trace : JsonParser.parseString(json).getAsJsonArray()) {
      traces.add(spans(trace.toString()));
    }
    return traces;
  }

  private static List<String> names(String json) {
    List<String> names = new ArrayList<>();
    for (JsonElement name : JsonParser.parseString(json).getAsJsonArray()) {
      names.add(name.getAsString());
    }
    return names;
  }

  /** One request, sent when executed and not when assembled, as the contract asks. */
  private final class HttpCall<V> extends Call.Base<V> {
    private final HttpRequest request;
    private final Function<HttpResponse<String>, V> read;

    HttpCall(HttpRequest request, Function<HttpResponse<String>, V> read) {
      this.request = request;
      this.read = read;
    }

    @Override protected V doExecute() throws IOException {
      try {
        return read.apply(client.send(request, BodyHandlers.ofString()));
      } catch (InterruptedException e) {
        throw new IOException("interrupted: " + request.uri(), e);
      }
    }

    @Override protected void doEnqueue(Callback<V> callback) {
      client.sendAsync(request, BodyHandlers.ofString()).thenApply(read)
          .whenComplete((value, error) -> {
            if (error == null) callback.onSuccess(value);
            else callback.onError(error);
          });
    }

    @Override public Call<V> clone() {
      return new HttpCall<>(request, read);
    }
  }
}
