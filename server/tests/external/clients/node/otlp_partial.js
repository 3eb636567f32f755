// Sends a good span and one without a trace by each of OpenTelemetry's exporters, and prints what the
// exporter was told: `{ exporter: { succeeded, told } }`, where `told` is the partial success it logged.
//
// Argument: base URL of the tracing server.

import { DiagLogLevel, ROOT_CONTEXT, diag } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtoExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { TracerProvider } from '@opentelemetry/sdk-trace';

const [base] = process.argv.slice(2);
const exporters = {
  proto: new ProtoExporter({ url: `${base}/v1/traces` }),
  json: new JsonExporter({ url: `${base}/v1/traces` }),
  grpc: new GrpcExporter({ url: base }),
};

let told = null;
const ignore = () => {};
diag.setLogger(
  {
    verbose: ignore,
    debug: ignore,
    info: ignore,
    error: console.error,
    warn: (text, partial) => {
      if (text.startsWith('Received Partial Success')) told = JSON.parse(partial);
    },
  },
  DiagLogLevel.WARN,
);

/** A span that ended, as exporters are given it; its trace id is made of zeros where it is not valid. */
function span(valid) {
  const resource = resourceFromAttributes({ 'service.name': 'partial' });
  const span = new TracerProvider({ resource }).getTracer('partial').startSpan('s', {}, ROOT_CONTEXT);
  span.end();
  if (valid) return span;
  const context = { ...span.spanContext(), traceId: '0'.repeat(32) };
  return Object.create(span, { spanContext: { value: () => context } });
}

const answers = {};
for (const [name, exporter] of Object.entries(exporters)) {
  told = null;
  const spans = [span(true), span(false)];
  const result = await new Promise((done) => exporter.export(spans, done));
  const succeeded = result.code === ExportResultCode.SUCCESS;
  answers[name] = { traceId: spans[0].spanContext().traceId, succeeded, told };
  await exporter.shutdown();
}
console.log(JSON.stringify(answers));
