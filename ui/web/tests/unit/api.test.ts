/** What answers say besides their body. */
import { expect, it } from 'vitest';

import { missingOf } from '../../src/api';
import { nextOf } from '../../src/api/http';

it.each([
  [null, null],
  ['complete', null],
  ['partial; reason="a segment is \\"damaged\\""', 'a segment is \\"damaged\\"'],
  ['partial', 'the server does not say why.'],
])('%s lacks %s', (completeness, missing) => {
  expect(missingOf(completeness)).toBe(missing);
});

it.each([
  [null, null],
  ['</api/v2/traces?limit=2&after=a%2Bb%3D>; rel="next"', 'a+b='],
  ['<https://elsewhere.example/zipkin/api/v2/traceSummaries?after=c1#x>; rel=next', 'c1'],
  ['<a?after=1>; rel="prev", <b?after=2>; rel="next"', '2'],
  ['<a?limit=2>; rel="next"', null],
  ['<a?after=1>; rel="nextish"', null],
  ['nonsense', null],
])('the page after %s begins at %s', (link, next) => {
  expect(nextOf(link)).toBe(next);
});
