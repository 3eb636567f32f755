// A frontend that calls a backend twice, both traced by Jaeger's client for Node.js.
//
// Arguments: base URL of Jaeger's HTTP endpoint, prefix of the service names. Prints the trace's id and
// the backend's port once every span was acknowledged.

import { once } from 'node:events';
import express from 'express';
import jaeger from 'jaeger-client';

const [base, prefix] = process.argv.slice(2);
const { FORMAT_HTTP_HEADERS, Tags } = jaeger.opentracing;

const failures = [];
const logger = { info() {}, error: (message) => failures.push(message) };

function newService(name) {
  const tracer = jaeger.initTracer(
    {
      serviceName: name,
      sampler: { type: 'const', param: 1 },
      reporter: {
        collectorEndpoint: `${base}/api/traces`,
        flushIntervalMs: 60_000, // never by itself: everything goes in the one batch at the end
      },
    },
    { logger },
  );
  return { app: express(), name, tracer };
}

function get(service, route, handle) {
  service.app.get(route, async (request, response) => {
    const span = service.tracer.startSpan(`GET ${route}`, {
      childOf: service.tracer.extract(FORMAT_HTTP_HEADERS, request.headers),
      tags: { [Tags.SPAN_KIND]: Tags.SPAN_KIND_RPC_SERVER, 'http.path': request.path },
    });
    await handle(span, response);
    finish(span, response.statusCode);
  });
}

function finish(span, status) {
  span.setTag(Tags.HTTP_STATUS_CODE, status);
  span.setTag(Tags.ERROR, status >= 500);
  span.finish();
}

async function call(service, parent, callee, path) {
  const span = service.tracer.startSpan('GET', {
    childOf: parent,
    tags: {
      [Tags.SPAN_KIND]: Tags.SPAN_KIND_RPC_CLIENT,
      [Tags.PEER_SERVICE]: callee.name,
      'http.path': path,
    },
  });
  const headers = {};
  service.tracer.inject(span, FORMAT_HTTP_HEADERS, headers);
  const answer = await fetch(`http://127.0.0.1:${callee.port}${path}`, { headers });
  await answer.text();
  finish(span, answer.status);
}

async function listen(service) {
  service.server = service.app.listen(0, '127.0.0.1');
  await once(service.server, 'listening');
  service.port = service.server.address().port;
}

async function close(service) {
  service.server.closeIdleConnections();
  service.server.close();
  await once(service.server, 'close');
  await new Promise((closed) => service.tracer.close(closed));
}

const backend = newService(`${prefix}-backend`);
get(backend, '/users/:id', (span, response) => {
  const local = backend.tracer.startSpan('load-user', { childOf: span });
  local.setTag('user.name', 'Zoë "Z" O\'Neil\n✓');
  local.log({ event: 'cache.miss' });
  local.finish();
  response.send('zoe');
});
get(backend, '/quota', (span, response) => response.status(503).send('over quota'));
await listen(backend);

const frontend = newService(`${prefix}-frontend`);
get(frontend, '/orders', async (span, response) => {
  for (const called of ['/users/7', '/quota']) {
    await call(frontend, span, backend, called);
  }
  response.send(span.context().toTraceId());
});
await listen(frontend);

const answer = await fetch(`http://127.0.0.1:${frontend.port}/orders`);
// Jaeger's client leaves out leading zeros.
const traceId = (await answer.text()).padStart(16, '0');
await close(frontend);
await close(backend);

if (failures.length > 0) throw new Error(failures.join('\n'));
console.log(JSON.stringify({ traceId, backendPort: backend.port }));
