package tracehound.kafka;

import java.util.Map;
import java.util.concurrent.TimeUnit;
import zipkin2.Endpoint;
import zipkin2.Span;
import zipkin2.reporter.AsyncReporter;
import zipkin2.reporter.Encoding;
import zipkin2.reporter.InMemoryReporterMetrics;
import zipkin2.reporter.SpanBytesEncoder;
import zipkin2.reporter.kafka.KafkaSender;

/**
 * Reports numbered spans by zipkin-reporter's Kafka sender, so many in each of its encodings, named
 * after them. What span number n is, is in {@code messages.py}.
 *
 * <p>Arguments: bootstrap servers, topic, number of the first span, spans an encoding, when span 0
 * began and how much later each next one, in microseconds.
 */
public final class Reporting {
  private static final int TRACE_SPANS = 20;
  private static final int CLOSE_MAX_S = 60;
  private static final int QUEUED_BYTES_MAX = 64 << 20;
  private static final Endpoint SHOP =
      Endpoint.newBuilder().serviceName("shop").ip("10.1.2.3").port(8080).build();

  private final String bootstrap;
  private final String topic;
  private final long beginUs;
  private final long everyUs;

  private Reporting(String bootstrap, String topic, long beginUs, long everyUs) {
    this.bootstrap = bootstrap;
    this.topic = topic;
    this.beginUs = beginUs;
    this.everyUs = everyUs;
  }

  public static void main(String[] arguments) {
    long first = Long.parseLong(arguments[2]);
    int count = Integer.parseInt(arguments[3]);
    var reporting = new Reporting(
        arguments[0], arguments[1], Long.parseLong(arguments[4]), Long.parseLong(arguments[5]));
    for (Encoding encoding : new Encoding[] {Encoding.JSON, Encoding.PROTO3, Encoding.THRIFT}) {
      reporting.report(encoding, first, count);
      first += count;
    }
  }

  private void report(Encoding encoding, long first, int count) {
    // The sender's own default asks for no acknowledgement and loses records when a broker stops.
    var sender = KafkaSender.newBuilder().bootstrapServers(bootstrap).topic(topic)
        .encoding(encoding).overrides(Map.of("acks", "all")).build();
    var metrics = new InMemoryReporterMetrics();
    var reporter = AsyncReporter.builder(sender).metrics(metrics)
        .queuedMaxSpans(count).queuedMaxBytes(QUEUED_BYTES_MAX)
        .closeTimeout(CLOSE_MAX_S, TimeUnit.SECONDS)
        .build(SpanBytesEncoder.forEncoding(encoding));
    for (long span = first; span < first + count; span++) {
      reporter.report(span(span, encoding));
    }
    // Closing gives up what is still queued.
    do {
      reporter.flush();
    } while (metrics.queuedSpans() > 0);
    reporter.close();
    sender.close();
    if (metrics.spansDropped() + metrics.messagesDropped() > 0) {
      throw new IllegalStateException("not sent: " + metrics.messagesDroppedByCause());
    }
  }

  private Span span(long number, Encoding encoding) {
    long trace = number / TRACE_SPANS;
    long root = trace * TRACE_SPANS + 1;
    var span = Span.newBuilder()
        .traceId(0x5EED_0000_0000_0000L + trace, 0xCAFE_0000_0000_0000L + trace)
        .id(number + 1)
        .name("sender-" + encoding)
        .timestamp(beginUs + number * everyUs)
        .duration(1500L)
        .localEndpoint(SHOP)
        .putTag("http.path", "/orders");
    if (number + 1 != root) span.parentId(root);
    return span.build();
  }
}
