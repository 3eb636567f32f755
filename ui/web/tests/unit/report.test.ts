/** What a report says: the sentence, parts that add up, distributions, the score, and what is copied. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import type { Check, EntryChange, Finding, Report } from '../../src/api/schema';
import { countOf, ecdfOf, type Histogram, logBinsOf, logExtentOf, quantileOf } from '../../src/report/distribution';
import { gateCommand, markdownOf } from '../../src/report/export';
import { cohortPath, pairPath } from '../../src/report/links';
import { formatP, formatShareChange, operationName, unbroken } from '../../src/report/names';
import { boundOf, costOf, scoredChecks, scoredGroups, sumOf } from '../../src/report/score';
import { answerOf } from '../../src/report/sentence';
import { extentOf, waterfallOf } from '../../src/report/waterfall';

const RECORDED = readFileSync(join(import.meta.dirname, '../fixture/report.json'), 'utf8');

/** The recorded report of `inventory 1.4.3`, with changes. */
function report(changes: Partial<Report> = {}): Report {
  return { ...(JSON.parse(RECORDED) as Report), ...changes };
}

function finding(changes: Partial<Finding> = {}): Finding {
  return { ...(report().findings[0] as Finding), ...changes };
}

const innocent = (changes: Partial<Finding>) =>
  report({ verdict: 'unchanged', decision: 'continue', findings: [finding({ causedByDeployment: false, ...changes })] });

describe('the answer', () => {
  it('names the deployment, who suffers, by how much, and why', () => {
    const answer = answerOf(report(), false);
    expect(answer.lead).toBe(
      'inventory 1.4.3 made gateway get /checkout 19.9 ms slower (+39 %), because inventory get /stock makes calls one after the other that it made side by side.',
    );
    expect(answer.advice).toBe('Roll back inventory to 1.4.2.');
    expect(answer.details.join(' ')).toMatch(/^The mean of gateway get \/checkout went from 51(\.\d)? ms to 71\.8 ms\.$/);
  });

  it('says so where it became faster', () => {
    const faster = finding({ cause: 'more_calls', contribution: -8000, callee: { serviceName: 'db', spanName: 'select' } });
    const answer = answerOf(report({ verdict: 'improved', decision: 'continue', findings: [faster] }), false);
    expect(answer.lead).toContain('8 ms faster (−16 %), because inventory get /stock calls db select less often.');
  });

  it('says so where it fails more', () => {
    const errors = finding({ kind: 'errors', cause: 'errors', contribution: 0, errorRateChange: 0.032 });
    const answer = answerOf(report({ findings: [errors] }), false);
    expect(answer.lead).toBe('inventory 1.4.3 made inventory get /stock fail more often: +3.2 percentage points of its requests.');
  });

  it.each([
    ['load', {}, 'More requests explain it'],
    ['mix_shift', {}, 'Other requests explain it'],
    ['callee_degraded', {}, 'not deployed'],
    ['bad_instance', { instance: '10.0.0.9:8080' }, 'Only the instance 10.0.0.9:8080'],
    ['warm_up', {}, 'not warm'],
    ['transient', {}, 'went away'],
    ['confounded', {}, 'cannot be told'],
    ['other_deployment', { deploymentId: 'x1' }, 'Another deployment'],
  ] as const)('says that it was not the deployment: %s', (explanation, more, expected) => {
    const answer = answerOf(innocent({ explanation, ...more }), false);
    expect(answer.lead).toMatch(/^inventory 1\.4\.3 did not do this: /);
    expect(answer.details.join(' ')).toContain(expected);
    expect(answer.otherDeploymentId).toBe(explanation === 'other_deployment' ? 'x1' : undefined);
  });

  it('says that nothing changed, and what would have been seen', () => {
    const answer = answerOf(report({ verdict: 'unchanged', decision: 'continue', findings: [], change: [] }), false);
    expect(answer.lead).toBe('inventory 1.4.3 made nothing slower, and nothing fail more often.');
    expect(answer.details).toEqual(['A change of 2.4 % or more would have been seen.']);
  });

  it('says what changed in the same time without being explained', () => {
    const [change] = report().change as [EntryChange];
    const all = { ...change, explained: 0, remainder: change.within };
    const answer = answerOf(report({ verdict: 'unchanged', findings: [], change: [all] }), false);
    expect(answer.unexplained).toEqual([all]);
    expect(answer.details[0]).toContain('gateway get /checkout changed by +20.7 ms in the same time, but nothing');
    expect(answerOf(report({ change: [all] }), false).unexplained).toEqual([]);
  });

  it('says what is missing, and how long that takes at the rate so far', () => {
    const { candidate } = report();
    const waiting = report({
      verdict: 'insufficient_data',
      decision: 'wait',
      missing: '12 requests before and 5 after can be compared; 60 more a side are needed',
      findings: [],
      power: { requestsMissing: 60 },
      candidate: { ...candidate, traces: 30, startTs: 0, endTs: 30_000 },
    });
    const answer = answerOf(waiting, true);
    expect(answer.lead).toBe('It cannot be said yet what inventory 1.4.3 changed.');
    expect(answer.details.at(-1)).toBe('At the rate so far that takes about 60 s.');
    expect(answerOf({ ...waiting, decision: 'continue' }, false).lead).toContain('cannot be said from the requests that were seen');
  });

  it('says that there is no version to compare with', () => {
    const { deployment, baseline } = report();
    const { previousVersion: _, ...first } = deployment ?? { id: '', serviceName: 'inventory', version: '1', startTs: 0, inferred: false, rollback: false };
    const { version: __, ...nobody } = baseline;
    const answer = answerOf(report({ verdict: 'insufficient_data', findings: [], deployment: first, baseline: nobody }), true);
    expect(answer.lead).toContain('has nothing to be compared with');
  });

  it('does without everything that may be absent', () => {
    const bare: Report = { ...report({ findings: [finding({ victims: [] })], operations: [], change: [], checks: [] }) };
    delete bare.power;
    delete bare.score;
    expect(answerOf(bare, true).lead).toContain('made gateway get /checkout 19.9 ms slower, because');
  });

  it('cuts names that are too long for a sentence, and lets none turn it around', () => {
    expect(operationName({ serviceName: 'a'.repeat(10_000), spanName: 'b' })).toHaveLength(121);
    expect(operationName({ serviceName: '', spanName: '' })).toBe('–');
    expect(operationName({ serviceName: 'a', spanName: 'של\u202e\u2069' })).toBe('\u2068a של\u2069');
  });
});

describe('the waterfall', () => {
  const change = (parts: Partial<EntryChange> = {}) => ({ ...(report().change[0] as EntryChange), ...parts });

  it.each([
    ['as recorded', change(), [finding()]],
    ['with another mix', change({ total: 21_523, mixShift: 800 }), [finding()]],
    ['with findings of other entries', change(), [finding({ contribution: 4000 }), finding({ entry: { serviceName: 'x', spanName: 'y' } })]],
    ['of something faster', change({ total: -500, within: -500, explained: -700, remainder: 200 }), [finding({ contribution: -700 })]],
  ])('adds up to the whole change: %s', (_, entry, findings) => {
    const parts = waterfallOf(entry, findings);
    const whole = parts.at(-1);
    expect(whole).toMatchObject({ kind: 'total', change: entry.total });
    expect(parts.slice(0, -1).reduce((sum, part) => sum + part.change, 0)).toBe(entry.total);
    expect(parts.at(-2)?.to).toBe(entry.total);
    for (const [index, part] of parts.slice(1, -1).entries()) expect(part.from).toBe(parts[index]?.to);
  });

  it('tells findings of other entries together', () => {
    const parts = waterfallOf(change(), [finding({ contribution: 4000 })]);
    expect(parts.map(({ kind }) => kind)).toEqual(['finding', 'other', 'remainder', 'total']);
    expect(parts[1]?.change).toBe(15_855);
  });

  it('has room for what goes below zero, for intervals, and for nothing', () => {
    expect(extentOf(waterfallOf(change(), [finding()]))).toEqual([0, 20_723]);
    expect(extentOf(waterfallOf(change({ total: -500, within: -500, explained: -700, remainder: 200 }), [finding({ contribution: -700, contributionLow: -900, contributionHigh: -500 })]))).toEqual([-900, 0]);
    expect(extentOf(waterfallOf(change({ total: 0, within: 0, explained: 0, remainder: 0 }), []))).toEqual([-1, 1]);
  });
});

describe('distributions', () => {
  const histogram: Histogram = [[1000, 1], [2000, 2], [4000, 1]];

  it('add up to one', () => {
    expect(ecdfOf(histogram)).toEqual([{ bound: 1000, share: 0.25 }, { bound: 2000, share: 0.75 }, { bound: 4000, share: 1 }]);
    expect(ecdfOf([])).toEqual([]);
    const recorded = report().operations[0]?.baseline.histogram ?? [];
    expect(ecdfOf(recorded).at(-1)?.share).toBeCloseTo(1, 12);
  });

  it.each([[0.25, 1000], [0.26, 2000], [0.75, 2000], [1, 4000]])('have %s up to %s', (share, bound) => {
    expect(quantileOf(ecdfOf(histogram), share)).toBe(bound);
  });

  it('agree with the percentiles that the server tells', () => {
    for (const { candidate } of report().operations) {
      const median = quantileOf(ecdfOf(candidate.histogram), 0.5) ?? 0;
      expect(Math.abs(median - candidate.p50) / candidate.p50).toBeLessThan(0.01);
    }
  });

  it('keep every duration in common buckets', () => {
    const { edges, baseline, candidate } = logBinsOf(histogram, [[8000, 5]], 12);
    expect(edges).toHaveLength(13);
    for (const shares of [baseline, candidate]) expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
    expect(candidate.indexOf(1)).toBe(11);
  });

  it('have a scale even of nothing, of one duration, and of zero', () => {
    expect(logExtentOf([[]])).toEqual([1, 10]);
    expect(logExtentOf([[[100, 3]]])).toEqual([50, 200]);
    expect(logExtentOf([[[0, 3], [100, 0]]])).toEqual([0.5, 2]);
    expect(countOf([])).toBe(0);
  });
});

describe('the score', () => {
  it('is the sum of the points where nothing bounds it', () => {
    expect(sumOf(scoredChecks(report().checks))).toBeCloseTo(92.65, 2);
  });

  it('is bounded by what users felt', () => {
    const bound = boundOf(report().checks);
    expect(bound?.most).toBeCloseTo(54.94, 2);
    expect(bound?.by?.group).toBe('entries');
    expect(report().score).toBeCloseTo(bound?.most ?? 0, 2);
    expect(boundOf(report().checks.map(({ reason: _, ...check }) => check))).toBeUndefined();
  });

  it('has what costs the most first, and what has no data last', () => {
    const check = (name: string, weight: number, grade?: number): Check => ({ group: 'latency', name, weight, critical: false, ...(grade !== undefined && { grade }) });
    const scored = scoredChecks([check('fine', 50, 1), check('unknown', 30), check('bad', 50, 0.5)]);
    expect(scored.map((one) => [one.check.name, one.points, costOf(one)])).toEqual([
      ['bad', 25, 25],
      ['fine', 50, 0],
      ['unknown', undefined, -1],
    ]);
  });

  it('has groups that add up to it', () => {
    const groups = scoredGroups(report().checks);
    expect(groups.map(({ group }) => group)).toEqual(['latency', 'errors', 'structure', 'entries']);
    expect(groups.reduce((sum, { possible }) => sum + possible, 0)).toBeCloseTo(100, 9);
  });
});

describe('what is copied', () => {
  it('is Markdown that says what the page says, and nothing of its own', () => {
    const nasty = finding({ origin: { serviceName: 'a|b', spanName: '<script>*x*\n' } });
    const markdown = markdownOf(report({ findings: [nasty] }), 'http://host/zipkin/deployments/1');
    expect(markdown).toContain('## inventory 1.4.3: FAIL 54/100');
    expect(markdown).toContain('a\\|b \\<script\\>\\*x\\*');
    expect(markdown).toContain('| +19.9 ms | +19.7 ms to +20 ms | This deployment |');
    expect(markdown.trimEnd().endsWith('http://host/zipkin/deployments/1')).toBe(true);
  });

  it('is a command that a shell takes as it is meant', () => {
    const deployment = { ...(report().deployment ?? { id: '', startTs: 0, inferred: false, rollback: false, serviceName: '', version: '' }), version: "1'; rm -rf $HOME" };
    expect(gateCommand(deployment, 'http://host:9411')).toBe(
      `tracehound gate --service inventory --version '1'\\''; rm -rf $HOME' --environment prod --server http://host:9411`,
    );
  });
});

describe('links to comparisons', () => {
  it('say both sides', () => {
    expect(pairPath('ab', 'cd')).toBe('compare?a=ab&b=cd');
    const query = new URLSearchParams(cohortPath(report())?.split('?')[1]);
    expect(Object.fromEntries(query)).toMatchObject({ service: 'inventory', op: 'get /stock', 'a.version': '1.4.2', 'b.version': '1.4.3' });
  });

  it('are not there without two versions', () => {
    const { version: _, ...nobody } = report().baseline;
    expect(cohortPath(report({ baseline: nobody }))).toBeUndefined();
  });
});

describe('figures', () => {
  it('stay with their units', () => {
    expect(unbroken('get /2 something took 19.9 ms (+39 %), 3 spans')).toBe('get /2 something took 19.9\u00a0ms (+39\u00a0%), 3 spans');
  });

  it.each([[0.386, '+39 %'], [-0.1, '−10 %'], [0, '±0 %']])('%s is %s', (share, expected) => {
    expect(formatShareChange(share)).toBe(expected);
  });

  it.each([[0, '< 0.001'], [0.0234, '= 0.023']])('p %s', (value, expected) => {
    expect(formatP(value)).toBe(expected);
  });
});
