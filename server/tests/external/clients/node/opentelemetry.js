// A frontend that calls a backend twice, both traced by OpenTelemetry: B3 headers between them,
// one of its exporters to the server. Spans are never shared: a server's is a child of the client's.
//
// Arguments: base URL of the tracing server, exporter (ZIPKIN, OTLP_PROTO, OTLP_JSON or OTLP_GRPC),
// prefix of the service names. Prints the trace's id and the backend's port once every span was
// acknowledged.

import { once } from 'node:events';
import { createServer } from 'node:http';
import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  defaultTextMapGetter,
  defaultTextMapSetter,
  trace,
} from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtoExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { ZipkinExporter } from '@opentelemetry/exporter-zipkin';
import { B3InjectEncoding, B3Propagator } from '@opentelemetry/propagator-b3';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

const [base, kind, prefix] = process.argv.slice(2);
const b3 = new B3Propagator({ injectEncoding: B3InjectEncoding.MULTI_HEADER });

const otlp = { url: `${base}/v1/traces`, compression: 'gzip' };
const exporters = {
  ZIPKIN: () => new ZipkinExporter({ url: `${base}/api/v2/spans` }),
  OTLP_PROTO: () => new ProtoExporter(otlp),
  OTLP_JSON: () => new JsonExporter(otlp),
  OTLP_GRPC: () => new GrpcExporter({ url: base, compression: 'gzip' }),
};

/** Reports a failed export, which OpenTelemetry would only log. */
function checked(exporter) {
  const send = exporter.export.bind(exporter);
  exporter.export = (spans, done) =>
    send(spans, (result) => {
      if (result.code !== ExportResultCode.SUCCESS) {
        console.error('export failed', result.error);
        process.exitCode = 1;
      }
      done(result);
    });
  return exporter;
}

class Service {
  constructor(name, answer) {
    this.name = name;
    this.provider = new TracerProvider({
      resource: resourceFromAttributes({ 'service.name': name, 'service.version': '1.4.2' }),
      spanProcessors: [
        new BatchSpanProcessor({ exporter: checked(exporters[kind]()) }),
      ],
    });
    this.tracer = this.provider.getTracer('two-services', '1.0');
    this.server = createServer((request, response) => this.#serve(request, response, answer));
  }

  async #serve(request, response, answer) {
    const caller = b3.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter);
    const attributes = { 'http.request.method': request.method, 'url.path': request.url };
    const span = this.tracer.startSpan(
      `GET ${request.url}`, { kind: SpanKind.SERVER, attributes }, caller);
    const [status, body] = await answer(request.url, trace.setSpan(ROOT_CONTEXT, span));
    finish(span, status);
    response.writeHead(status).end(body);
  }

  async call(callee, path, context) {
    const attributes = {
      'http.request.method': 'GET',
      'peer.service': callee.name,
      'url.path': path,
    };
    const span = this.tracer.startSpan('GET', { kind: SpanKind.CLIENT, attributes }, context);
    const headers = {};
    b3.inject(trace.setSpan(context, span), headers, defaultTextMapSetter);
    const answer = await fetch(`http://127.0.0.1:${callee.port}${path}`, { headers });
    await answer.text();
    finish(span, answer.status);
  }

  async listen() {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = this.server.address().port;
  }

  async close() {
    this.server.closeIdleConnections();
    this.server.close();
    await once(this.server, 'close');
    await this.provider.shutdown(); // sends what is left
  }
}

function finish(span, status) {
  span.setAttribute('http.response.status_code', status);
  if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR, message: `status ${status}` });
  span.end();
}

const backend = new Service(`${prefix}-backend`, async (path, context) => {
  if (path === '/quota') return [503, 'over quota'];
  const attributes = { 'user.name': 'Zoë "Z" O\'Neil\n✓' };
  const span = backend.tracer.startSpan('load-user', { attributes }, context);
  span.addEvent('cache.miss');
  span.end();
  return [200, 'zoe'];
});
const frontend = new Service(`${prefix}-frontend`, async (path, context) => {
  await frontend.call(backend, '/users/7', context);
  await frontend.call(backend, '/quota', context);
  return [200, trace.getSpanContext(context).traceId];
});

await backend.listen();
await frontend.listen();
const answer = await fetch(`http://127.0.0.1:${frontend.port}/orders`);
const traceId = await answer.text();
await frontend.close();
await backend.close();
console.log(JSON.stringify({ traceId, backendPort: backend.port }));
