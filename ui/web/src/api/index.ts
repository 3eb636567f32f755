/** Everything that pages ask the server. Types of the rollout API are generated from the server's own document. */
export { type Answer, ApiError, apiUrl, getAnswer, getJson, missingOf, sendJson } from './http';
export type * from './zipkin';
export * from './zipkin';
