package tracehound.elasticsearch;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.opensearch.analysis.common.CommonAnalysisPlugin;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.ingest.common.IngestCommonPlugin;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;
import org.opensearch.transport.Netty4Plugin;

/** A real OpenSearch of one node on the loopback interface, until it is ended: DIRECTORY PORT. */
public final class OpenSearchServer {
  private static final List<Class<? extends Plugin>> MODULES =
      List.of(Netty4Plugin.class, CommonAnalysisPlugin.class, IngestCommonPlugin.class);

  /** Modules are otherwise found in directories of a distribution. */
  private static final class WithModules extends Node {
    WithModules(Environment environment) {
      super(environment, MODULES, false);
    }
  }

  private OpenSearchServer() {}

  public static void main(String[] arguments) throws Exception {
    Settings settings =
        Settings.builder()
            .put("path.home", Path.of(arguments[0]))
            .put("cluster.name", "tracehound-test")
            .put("node.name", "one")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", arguments[1])
            .put("transport.port", "0")
            .put("http.type", "netty4")
            .put("transport.type", "netty4")
            // Every case of the battery has indexes of its own, and the machine's disk may be full for other reasons.
            .put("cluster.max_shards_per_node", 100_000)
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
    Environment environment = InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "one");
    Node node = new WithModules(environment);
    CountDownLatch ended = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  try {
                    node.close();
                  } catch (java.io.IOException failure) {
                    failure.printStackTrace();
                  }
                  ended.countDown();
                }));
    node.start();
    ended.await();
  }
}
