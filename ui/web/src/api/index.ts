/** Everything that pages ask the server. Types of the rollout API are generated from the server's own document. */
export { ANSWERED, type Answer, ApiError, apiUrl, getAnswer, getJson, missingOf, sendJson, UNANSWERED } from './http';
export type * from './zipkin';
export * from './trace-view';
export * from './zipkin';
export * from './deployments';
