package tracehound.kafka;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import kafka.Kafka;
import kafka.tools.StorageTool;

/**
 * One node of an Apache Kafka cluster, broker and controller in one, as its own scripts start it:
 * its directory is formatted if it is new, then the node runs until it is told to end.
 *
 * <p>One program for both, because a JVM takes a second to start. Arguments: the properties file of
 * the node, the identifier of the cluster.
 */
public final class Broker {
  private Broker() {}

  public static void main(String[] arguments) {
    String properties = arguments[0];
    String cluster = arguments[1];
    var said = new ByteArrayOutputStream();
    int status = StorageTool.execute(
        new String[] {"format", "--ignore-formatted", "--config", properties, "--cluster-id", cluster},
        new PrintStream(said, true));
    if (status != 0) {
      System.err.println(said);
      System.exit(status);
    }
    Kafka.main(new String[] {properties});
  }
}
