/** What answers say besides their body. */
import { expect, it } from 'vitest';

import { missingOf } from '../../src/api';

it.each([
  [null, null],
  ['complete', null],
  ['partial; reason="a segment is \\"damaged\\""', 'a segment is \\"damaged\\"'],
  ['partial', 'the server does not say why.'],
])('%s lacks %s', (completeness, missing) => {
  expect(missingOf(completeness)).toBe(missing);
});
