package tracehound.clients;

import brave.Span;
import brave.http.HttpClientRequest;
import brave.http.HttpClientResponse;
import brave.http.HttpServerRequest;
import brave.http.HttpServerResponse;
import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpRequest;

import static java.nio.charset.StandardCharsets.UTF_8;

/** The JDK's HTTP server and client as Brave's instrumentation wants to see them. */
final class JdkHttp {
  private JdkHttp() {}

  record Reply(int status, String body) {
    void send(HttpExchange exchange) throws IOException {
      byte[] bytes = body.getBytes(UTF_8);
      exchange.sendResponseHeaders(status, bytes.length);
      exchange.getResponseBody().write(bytes);
      exchange.close();
    }
  }

  static final class ServerRequest extends HttpServerRequest {
    private final HttpExchange exchange;

    ServerRequest(HttpExchange exchange) {
      this.exchange = exchange;
    }

    @Override public String method() {
      return exchange.getRequestMethod();
    }

    @Override public String path() {
      return exchange.getRequestURI().getPath();
    }

    @Override public String url() {
      return exchange.getRequestURI().toString();
    }

    @Override public String header(String name) {
      return exchange.getRequestHeaders().getFirst(name);
    }

    @Override public boolean parseClientIpAndPort(Span span) {
      var client = exchange.getRemoteAddress();
      return span.remoteIpAndPort(client.getAddress().getHostAddress(), client.getPort());
    }

    @Override public Object unwrap() {
      return exchange;
    }
  }

  static final class ServerResponse extends HttpServerResponse {
    private final ServerRequest request;
    private final int status;

    ServerResponse(ServerRequest request, int status) {
      this.request = request;
      this.status = status;
    }

    @Override public HttpServerRequest request() {
      return request;
    }

    @Override public int statusCode() {
      return status;
    }

    @Override public Object unwrap() {
      return request.unwrap();
    }
  }

  static final class ClientRequest extends HttpClientRequest {
    private final HttpRequest.Builder builder;
    private final URI uri;

    ClientRequest(URI uri) {
      this.uri = uri;
      builder = HttpRequest.newBuilder(uri);
    }

    HttpRequest build() {
      return builder.build();
    }

    @Override public String method() {
      return "GET";
    }

    @Override public String path() {
      return uri.getPath();
    }

    @Override public String url() {
      return uri.toString();
    }

    @Override public String header(String name) {
      return build().headers().firstValue(name).orElse(null);
    }

    @Override public void header(String name, String value) {
      builder.setHeader(name, value);
    }

    @Override public Object unwrap() {
      return builder;
    }
  }

  static final class ClientResponse extends HttpClientResponse {
    private final ClientRequest request;
    private final int status;

    ClientResponse(ClientRequest request, int status) {
      this.request = request;
      this.status = status;
    }

    @Override public HttpClientRequest request() {
      return request;
    }

    @Override public int statusCode() {
      return status;
    }

    @Override public Object unwrap() {
      return request.unwrap();
    }
  }
}
