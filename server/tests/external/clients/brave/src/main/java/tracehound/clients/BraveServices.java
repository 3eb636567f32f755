package tracehound.clients;

import brave.ScopedSpan;
import brave.Span;
import brave.Tracing;
import brave.handler.SpanHandler;
import brave.http.HttpClientHandler;
import brave.http.HttpClientRequest;
import brave.http.HttpClientResponse;
import brave.http.HttpServerHandler;
import brave.http.HttpServerRequest;
import brave.http.HttpServerResponse;
import brave.http.HttpTracing;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import tracehound.clients.JdkHttp.ClientRequest;
import tracehound.clients.JdkHttp.ClientResponse;
import tracehound.clients.JdkHttp.Reply;
import tracehound.clients.JdkHttp.ServerRequest;
import tracehound.clients.JdkHttp.ServerResponse;
import zipkin2.reporter.AsyncReporter;
import zipkin2.reporter.Encoding;
import zipkin2.reporter.InMemoryReporterMetrics;
import zipkin2.reporter.SpanBytesEncoder;
import zipkin2.reporter.brave.AsyncZipkinSpanHandler;
import zipkin2.reporter.brave.ZipkinSpanHandler;
import zipkin2.reporter.urlconnection.URLConnectionSender;

/**
 * A frontend that calls a backend twice, both traced by Brave with its defaults.
 *
 * <p>Arguments: base URL of the tracing server, encoding (JSON, PROTO3 or THRIFT), prefix of the
 * service names. Prints the trace's id and the backend's port once every span was acknowledged.
 */
public final class BraveServices implements AutoCloseable {
  private static final int CLOSE_MAX_S = 10;

  private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final Reporting reporting;
  private final Service backend;
  private final Service frontend;

  private BraveServices(String base, Encoding encoding, String prefix) throws IOException {
    reporting = Reporting.to(base, encoding);
    backend = new Service(prefix + "-backend", reporting.handler(), this::answerUser);
    frontend = new Service(prefix + "-frontend", reporting.handler(), this::answerOrder);
  }

  public static void main(String[] arguments) throws Exception {
    String traceId;
    int backendPort;
    try (var services =
        new BraveServices(arguments[0], Encoding.valueOf(arguments[1]), arguments[2])) {
      traceId = services.order();
      backendPort = services.backend.port();
    }
    System.out.printf("{\"traceId\": \"%s\", \"backendPort\": %d}%n", traceId, backendPort);
  }

  private String order() throws Exception {
    URI uri = frontend.uri("/orders");
    return http.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString()).body();
  }

  private Reply answerOrder(Service service, String path) {
    service.call(http, backend, "/users/7");
    service.call(http, backend, "/quota");
    return new Reply(200, service.tracing.currentTraceContext().get().traceIdString());
  }

  private Reply answerUser(Service service, String path) {
    if (path.equals("/quota")) return new Reply(503, "over quota");
    ScopedSpan span = service.tracing.tracer().startScopedSpan("load-user");
    span.tag("user.name", "Zoë \"Z\" O'Neil\n✓");
    span.annotate("cache.miss");
    span.finish();
    return new Reply(200, "zoe");
  }

  @Override public void close() {
    frontend.close();
    backend.close();
    reporting.finish();
  }

  /** What takes spans to the server. */
  private record Reporting(SpanHandler handler, InMemoryReporterMetrics metrics, Runnable close) {
    static Reporting to(String base, Encoding encoding) {
      String path = encoding == Encoding.THRIFT ? "/api/v1/spans" : "/api/v2/spans";
      InMemoryReporterMetrics metrics = new InMemoryReporterMetrics();
      URLConnectionSender sender =
          URLConnectionSender.newBuilder().encoding(encoding).endpoint(base + path).build();
      if (encoding == Encoding.THRIFT) { // Brave itself writes only JSON and protobuf
        AsyncReporter<zipkin2.Span> reporter = AsyncReporter.builder(sender).metrics(metrics)
            .closeTimeout(CLOSE_MAX_S, TimeUnit.SECONDS).build(SpanBytesEncoder.THRIFT);
        return new Reporting(ZipkinSpanHandler.create(reporter), metrics, reporter::close);
      }
      AsyncZipkinSpanHandler handler = AsyncZipkinSpanHandler.newBuilder(sender).metrics(metrics)
          .closeTimeout(CLOSE_MAX_S, TimeUnit.SECONDS).build();
      return new Reporting(handler, metrics, handler::close);
    }

    /** Sends what is left, waits for the answers, and fails if the server refused anything. */
    void finish() {
      close.run();
      if (metrics.messagesDropped() + metrics.spansDropped() > 0) {
        throw new IllegalStateException("messages refused: " + metrics.messagesDroppedByCause());
      }
    }
  }

  /** One HTTP server with a tracer of its own, as in a process of its own. */
  private static final class Service implements AutoCloseable {
    private final String name;
    private final Tracing tracing;
    private final HttpServer server;
    private final HttpServerHandler<HttpServerRequest, HttpServerResponse> serverHandler;
    private final HttpClientHandler<HttpClientRequest, HttpClientResponse> clientHandler;

    Service(String name, SpanHandler handler, BiFunction<Service, String, Reply> answer)
        throws IOException {
      this.name = name;
      server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
      tracing = Tracing.newBuilder().localServiceName(name).localIp("127.0.0.1")
          .localPort(port()).addSpanHandler(handler).build();
      HttpTracing http = HttpTracing.create(tracing);
      serverHandler = HttpServerHandler.create(http);
      clientHandler = HttpClientHandler.create(http);
      server.createContext("/", exchange -> {
        ServerRequest request = new ServerRequest(exchange);
        Span span = serverHandler.handleReceive(request);
        Reply reply;
        try (var scope = tracing.currentTraceContext().newScope(span.context())) {
          reply = answer.apply(this, request.path());
        }
        serverHandler.handleSend(new ServerResponse(request, reply.status()), span);
        reply.send(exchange);
      });
      server.start();
    }

    int port() {
      return server.getAddress().getPort();
    }

    URI uri(String path) {
      return URI.create("http://127.0.0.1:" + port() + path);
    }

    void call(HttpClient http, Service callee, String path) {
      ClientRequest request = new ClientRequest(callee.uri(path));
      Span span = clientHandler.handleSend(request);
      span.remoteServiceName(callee.name);
      span.remoteIpAndPort("127.0.0.1", callee.port());
      try {
        int status = http.send(request.build(), BodyHandlers.discarding()).statusCode();
        clientHandler.handleReceive(new ClientResponse(request, status), span);
      } catch (IOException | InterruptedException e) {
        throw new IllegalStateException("cannot call " + request.url(), e);
      }
    }

    @Override public void close() {
      server.stop(0);
      tracing.close();
    }
  }
}
