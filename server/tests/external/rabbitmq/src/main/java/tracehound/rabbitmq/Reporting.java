package tracehound.rabbitmq;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import zipkin2.Endpoint;
import zipkin2.Span;
import zipkin2.reporter.AsyncReporter;
import zipkin2.reporter.Encoding;
import zipkin2.reporter.InMemoryReporterMetrics;
import zipkin2.reporter.SpanBytesEncoder;
import zipkin2.reporter.amqp.RabbitMQSender;

/**
 * Reports numbered spans by zipkin-reporter's RabbitMQ sender, so many in each of its encodings, named
 * after them. What span number n is, is in {@code ../kafka/messages.py}.
 *
 * <p>Arguments: address, queue, number of the first span, spans an encoding, when span 0 began and how
 * much later each next one, in microseconds.
 */
public final class Reporting {
  private static final int TRACE_SPANS = 20;
  private static final int CLOSE_MAX_S = 60;
  private static final Endpoint SHOP = Endpoint.newBuilder().serviceName("shop").build();

  private Reporting() {}

  public static void main(String[] arguments) throws IOException {
    long first = Long.parseLong(arguments[2]);
    int count = Integer.parseInt(arguments[3]);
    long beginUs = Long.parseLong(arguments[4]);
    long everyUs = Long.parseLong(arguments[5]);
    for (Encoding encoding : new Encoding[] {Encoding.JSON, Encoding.PROTO3, Encoding.THRIFT}) {
      var sender = RabbitMQSender.newBuilder()
          .addresses(arguments[0]).queue(arguments[1]).encoding(encoding).build();
      var metrics = new InMemoryReporterMetrics();
      var reporter = AsyncReporter.builder(sender).metrics(metrics)
          .queuedMaxSpans(count)
          // What the reporter is sending meanwhile is lost otherwise, and nobody told.
          .closeTimeout(CLOSE_MAX_S, TimeUnit.SECONDS)
          .build(SpanBytesEncoder.forEncoding(encoding));
      for (long number = first; number < first + count; number++) {
        reporter.report(span(number, "sender-" + encoding, beginUs + number * everyUs));
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
      first += count;
    }
  }

  private static Span span(long number, String name, long timestampUs) {
    long trace = number / TRACE_SPANS;
    long root = trace * TRACE_SPANS + 1;
    var span = Span.newBuilder()
        .traceId(0x5EED_0000_0000_0000L + trace, 0xCAFE_0000_0000_0000L + trace)
        .id(number + 1)
        .name(name)
        .timestamp(timestampUs)
        .localEndpoint(SHOP);
    if (number + 1 != root) span.parentId(root);
    return span.build();
  }
}
