// A frontend that calls a backend twice, both traced by zipkin-js with express and fetch.
//
// Arguments: base URL of the tracing server, encoding (JSON_V1 or JSON_V2), prefix of the service
// names. Prints the trace's id and the backend's port once every span was acknowledged.

import { once } from 'node:events';
import express from 'express';
import zipkin from 'zipkin';
import { expressMiddleware } from 'zipkin-instrumentation-express';
import wrapFetch from 'zipkin-instrumentation-fetch';
import { HttpLogger } from 'zipkin-transport-http';

const [base, encoding, prefix] = process.argv.slice(2);

const path = encoding === 'JSON_V1' ? '/api/v1/spans' : '/api/v2/spans';
const logger = new HttpLogger({
  endpoint: base + path,
  jsonEncoder: zipkin.jsonEncoder[encoding],
  httpInterval: 60_000, // never by itself: everything goes in the one message at the end
});

function newService(name) {
  const recorder = new zipkin.BatchRecorder({ logger });
  const ctxImpl = new zipkin.ExplicitContext();
  const tracer = new zipkin.Tracer({ ctxImpl, recorder, localServiceName: name });
  const app = express();
  app.use(expressMiddleware({ tracer }));
  return { app, name, tracer };
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
}

const backend = newService(`${prefix}-backend`);
backend.app.get('/users/:id', (request, response) => {
  backend.tracer.local('load-user', () => {
    backend.tracer.recordBinary('user.name', 'Zoë "Z" O\'Neil\n✓');
    backend.tracer.recordMessage('cache.miss');
  });
  response.send('zoe');
});
backend.app.get('/quota', (request, response) => response.status(503).send('over quota'));
await listen(backend);

const frontend = newService(`${prefix}-frontend`);
const call = wrapFetch(fetch, { tracer: frontend.tracer, remoteServiceName: backend.name });
frontend.app.get('/orders', async (request, response) => {
  const { tracer } = frontend;
  const id = tracer.id;
  for (const called of ['/users/7', '/quota']) {
    const answer = await tracer.letId(id, () => call(`http://127.0.0.1:${backend.port}${called}`));
    await answer.text();
  }
  response.send(id.traceId);
});
await listen(frontend);

const answer = await fetch(`http://127.0.0.1:${frontend.port}/orders`);
const traceId = await answer.text();
await close(frontend);
await close(backend);

const acknowledged = once(logger, 'success'); // rejects on 'error'
logger.processQueue(fetch);
await acknowledged;
console.log(JSON.stringify({ traceId, backendPort: backend.port }));
