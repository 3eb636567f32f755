package tracehound.kit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/**
 * One server under test, with a store of its own that is deleted when it stops.
 *
 * <p>The command is any server configured by Zipkin's environment variables, so the kit can be
 * shown to pass on Zipkin itself.
 */
final class ServerProcess implements AutoCloseable {
  private static final List<String> COMMAND =
      List.of(System.getProperty("kit.server.command").split(" "));
  private static final String STORAGE_TYPE = System.getProperty("kit.storage.type");
  /** The variable that gives each server a part of its own of a storage that all of them use; may be absent. */
  private static final String STORAGE_OWN = System.getProperty("kit.storage.own");
  /** Whether what was acknowledged may still be on its way to the storage. */
  private static final boolean IS_BEHIND_SPOOL = Boolean.getBoolean("kit.storage.is.behind.spool");
  private static final Duration START_MAX = Duration.ofSeconds(30);
  private static final Duration DELIVERY_MAX = Duration.ofSeconds(60);
  private static final String WAITING = "tracehound_spool_spans ";
  private static final AtomicInteger STARTED = new AtomicInteger();

  private final Process process;
  private final Path directory;
  private final URI base;

  private ServerProcess(Process process, Path directory, URI base) {
    this.process = process;
    this.directory = directory;
    this.base = base;
  }

  /** Starts a server on a free port and returns once its {@code /health} answers 200. */
  static ServerProcess start(HttpClient client, Map<String, String> options) throws IOException {
    Path directory = Files.createTempDirectory("tracehound-kit");
    int port = freePort();
    ProcessBuilder builder = new ProcessBuilder(COMMAND)
        .redirectErrorStream(true)
        .redirectOutput(directory.resolve("output").toFile());
    Map<String, String> environment = builder.environment();
    environment.putAll(listenLocally(port));
    environment.put("STORAGE_TYPE", STORAGE_TYPE);
    environment.put("STORAGE_PATH", directory.resolve("store").toString());
    if (STORAGE_OWN != null) environment.put(STORAGE_OWN, "kit" + STARTED.incrementAndGet());
    environment.putAll(options);
    ServerProcess server = new ServerProcess(
        builder.start(), directory, URI.create("http://127.0.0.1:" + port));
    try {
      server.awaitHealthy(client);
    } catch (IOException e) {
      server.close();
      throw e;
    }
    return server;
  }

  /** For both products; the long names are how Zipkin's HTTP server is told an address. */
  private static Map<String, String> listenLocally(int port) {
    return Map.of(
        "LISTEN", "127.0.0.1",
        "QUERY_PORT", Integer.toString(port),
        "ARMERIA_PORTS_0_IP", "127.0.0.1",
        "ARMERIA_PORTS_0_PORT", Integer.toString(port),
        "ARMERIA_PORTS_0_PROTOCOLS_0", "http");
  }

  URI base() {
    return base;
  }

  private void awaitHealthy(HttpClient client) throws IOException {
    HttpRequest health = HttpRequest.newBuilder(base.resolve("/health"))
        .timeout(Duration.ofSeconds(5)).build();
    long deadline = System.nanoTime() + START_MAX.toNanos();
    String answer = "none";
    while (process.isAlive() && System.nanoTime() < deadline) {
      try {
        var response = client.send(health, BodyHandlers.ofString());
        if (response.statusCode() == 200) return;
        answer = response.statusCode() + " " + response.body();
      } catch (IOException e) {
        answer = e.toString(); // not listening yet
      } catch (InterruptedException e) {
        throw new IOException("interrupted while the server started", e);
      }
      pause();
    }
    throw new IOException("server not healthy at " + base + ": last answer " + answer
        + "; its output:\n" + Files.readString(directory.resolve("output")));
  }

  /** Returns once the storage has all that was acknowledged. */
  void awaitDelivered(HttpClient client) throws IOException {
    if (!IS_BEHIND_SPOOL) return;
    HttpRequest figures = HttpRequest.newBuilder(base.resolve("/prometheus"))
        .timeout(Duration.ofSeconds(5)).build();
    long deadline = System.nanoTime() + DELIVERY_MAX.toNanos();
    while (System.nanoTime() < deadline) {
      try {
        String waiting = client.send(figures, BodyHandlers.ofString()).body().lines()
            .filter(line -> line.startsWith(WAITING)).findFirst().orElseThrow();
        if (Double.parseDouble(waiting.substring(WAITING.length())) == 0) return;
      } catch (InterruptedException e) {
        throw new IOException("interrupted while spans were delivered", e);
      }
      pause();
    }
    throw new IOException("spans are not delivered; the server's output:\n"
        + Files.readString(directory.resolve("output")));
  }

  /** Polling interval: short against a native server's start, which is a few milliseconds. */
  private static void pause() throws IOException {
    try {
      TimeUnit.MILLISECONDS.sleep(5);
    } catch (InterruptedException e) {
      throw new IOException("interrupted while the server started", e);
    }
  }

  /** Kills rather than asks: nothing that was stored is read again. */
  @Override public void close() {
    process.destroyForcibly().onExit().join();
    try (Stream<Path> files = Files.walk(directory)) {
      files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }
}
