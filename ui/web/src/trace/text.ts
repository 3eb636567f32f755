/** The words of the trace page. */
import { formatCount, formatDuration, formatShare } from '../format';

interface RowWords {
  service: string;
  name: string;
  duration: number | undefined;
  self: number | undefined;
  start: number | undefined;
  critical: boolean;
  failed: boolean;
}

interface GroupWords {
  service: string;
  name: string;
  count: number;
  min: number;
  median: number;
  max: number;
  errors: number;
}

export const text = {
  unknownService: 'unknown service',
  unnamedSpan: 'unnamed span',

  // Loading.
  notATraceId: 'This is no trace ID',
  notATraceIdWhy: (id: string) => `${id} should be 1 to 32 hexadecimal digits.`,
  notFound: 'There is no such trace',
  notFoundWhy: (id: string) => `The server has no span of ${id}.`,
  notFoundReasons: [
    'Its spans may still be on their way: reporters send them seconds after a request is over.',
    'It may be older than what the server keeps.',
    'It may not have been sampled.',
    'With STRICT_TRACE_ID (the default) all of 32 digits have to be the same; the last 16 alone find only traces that were reported with 16.',
  ],
  lookingAgain: (attempt: number, all: number) => `Looking again by itself (${attempt} of ${all})…`,
  lookedAgain: (all: number) => `Looked again ${all} times.`,
  lookAgain: 'Look again',
  searchTraces: 'Search traces',
  notLoaded: 'The trace could not be loaded',
  tryAgain: 'Try again',
  loading: (id: string) => `Loading trace ${id}…`,
  loadingFile: 'Reading the file…',
  titleOf: (name: string) => `${name} · Tracehound`,
  trace: (id: string) => `Trace ${id}`,

  // Header.
  duration: 'Duration',
  start: 'Start',
  spans: 'Spans',
  services: 'Services',
  depth: 'Depth',
  traceId: 'Trace ID',
  failedCalls: (count: number) => formatCount(count, 'failed span'),
  actions: 'What to do with this trace',
  compare: 'Compare',
  copyLink: 'Copy link',
  copyMarkdown: 'Copy as Markdown',
  markdownCopied: 'The summary is copied.',
  downloadJson: 'Download JSON',
  logs: 'Logs',
  archive: 'Archive',
  archiving: 'Archiving…',
  archived: 'The trace is archived.',
  seeArchived: 'See the archived trace',
  notArchived: (reason: string) => `The trace was not archived: ${reason}`,

  // Notes.
  notes: 'What to know of this trace',
  incomplete: (reason: string) => `Not everything was looked at: ${reason}`,
  truncated: (shown: number, total: number) =>
    `Only the first ${shown.toLocaleString('en')} of ${total.toLocaleString('en')} rows are shown: a browser has no memory for more. The rest is in the JSON.`,
  tagsLeft: (spans: number) => `Tags and annotations of so many spans (${spans.toLocaleString('en')}) are not read unasked: they are not found, nor marked on bars.`,
  readTags: 'Read them',
  readingTags: 'Tags and annotations are being read…',
  tagsPart: (spans: number, all: number) =>
    `Tags and annotations of the first ${spans.toLocaleString('en')} of ${all.toLocaleString('en')} spans are read: more would take too much memory.`,
  tagsFailed: (reason: string) => `Tags and annotations could not be read: ${reason}`,
  missingParents: (count: number) =>
    `${formatCount(count, 'span')} without ${count === 1 ? 'its' : 'their'} parent: some of this trace was not received, or not yet.`,
  cycles: (count: number) => `${formatCount(count, 'span')} named as parent what is below ${count === 1 ? 'it' : 'them'}: cut there.`,
  skew: (service: string, change: string) => `The clock of ${service} differs: its times were moved by ${change}.`,
  skewMore: (count: number) => `So ${count === 1 ? 'was' : 'were'} ${formatCount(count, 'more clock')}.`,
  mergedRows: 'Merged rows',
  merged: (rows: number) =>
    `${formatCount(rows, 'row')} ${rows === 1 ? 'shows' : 'show'} both sides of a call, which share an identifier.`,
  noTimes: 'No span of this trace has a time, so there are no bars.',
  show: 'Show',
  noteCount: (count: number) => formatCount(count, 'note'),

  // Deployments.
  wentThrough: 'This trace went through',
  deployedAt: (when: string) => `deployed ${when}`,
  seeReport: 'See what it changed',

  // Views and toolbar.
  views: 'Views',
  viewNames: { timeline: 'Timeline', flame: 'Flame graph', table: 'Operations' },
  find: 'Find in this trace',
  findPlaceholder: 'Service, operation, tag or ID',
  findPlaceholderNames: 'Service, operation or ID',
  matches: (at: number, count: number) =>
    count === 0 ? 'No match' : at === 0 ? formatMatches(count) : `${at.toLocaleString('en')} of ${count.toLocaleString('en')}`,
  nextMatch: 'Next match',
  previousMatch: 'Match before',
  servicesShown: (hidden: number) => (hidden === 0 ? 'Services' : `Services (${hidden} hidden)`),
  servicesLegend: 'Services that are shown',
  showAll: 'Show all',
  hiddenSpans: (rows: number, errors: number) =>
    errors === 0 ? `${formatCount(rows, 'span')} hidden` : `${formatCount(rows, 'span')} hidden, ${errors.toLocaleString('en')} failed`,
  expandAll: 'Expand all',
  collapseAll: 'Collapse all',
  slowest: 'Slowest',
  slowestWhy: 'The span with the most time of its own on the critical path',
  wholeTrace: 'Whole trace',
  lookedAt: (name: string) => `Only ${name} and what is below it`,
  nameWidth: 'Width of names, percent',
  resizeNames: 'Width of names',
  detailsAt: 'Details',
  detailPlaces: { side: 'Beside', inline: 'In the rows' },

  // Minimap.
  minimap: 'The whole trace',
  minimapHint: 'Drag over it to look at a stretch.',
  from: 'From',
  to: 'To',
  fromHandle: 'Begin of the stretch',
  toHandle: 'End of the stretch',
  notADuration: 'Write 10s, 10ms, 10us or microseconds.',
  zoomIn: 'Zoom in',
  zoomOut: 'Zoom out',
  wholeStretch: 'All of it',

  // Rows.
  tree: 'Spans',
  nameColumn: 'Service and span',
  durationColumn: 'Duration',
  timeColumn: (from: string, to: string) => `Time, from ${from} to ${to}`,
  collapse: 'Collapse',
  expand: 'Expand',
  missingParent: 'no parent',
  missingParentWhy: (id: string) => `Its parent ${id} is not in this trace`,
  repeats: (count: number) => `×${count.toLocaleString('en')}`,
  repeatTimes: (min: string, median: string, max: string) => `${min} · ${median} · ${max}`,
  repeatTimesWhy: 'Shortest, median and longest',
  slowestShown: 'The slowest is shown below; open to see all.',
  row: ({ service, name, duration, self, start, critical, failed }: RowWords) =>
    [
      `${service} ${name}`,
      formatDuration(duration),
      self === undefined ? '' : `self ${formatDuration(self)}`,
      start === undefined ? 'no time' : `starts at ${formatDuration(start)}`,
      critical ? 'on critical path' : '',
      failed ? 'failed' : '',
    ]
      .filter(Boolean)
      .join(', '),
  group: ({ service, name, count, min, median, max, errors }: GroupWords) =>
    `${service} ${name}, ${count} times, shortest ${formatDuration(min)}, median ${formatDuration(median)}, longest ${formatDuration(max)}${errors > 0 ? `, ${errors} failed` : ''}`,

  // Details of a span.
  spanOf: (service: string, name: string) => `Span ${service} ${name}`,
  close: 'Close',
  startsAt: 'Starts at',
  selfTime: 'Self',
  onCriticalPath: 'Critical path',
  criticalShare: (time: string, share: number) => `${time} (${formatShare(share)})`,
  kind: 'Kind',
  kinds: ['local', 'client', 'server', 'producer', 'consumer'],
  version: 'Version',
  calledService: 'Calls',
  clockMoved: (change: string) => `Its clock differs from its caller's: times were moved by ${change}.`,
  copySpanLink: 'Copy link',
  focusHere: 'Only this and below',
  tags: 'Tags',
  none: 'None.',
  empty: 'empty',
  annotations: 'Annotations',
  reported: 'Reported',
  reportedAs: (kind: string) => `Reported as ${kind}`,
  shared: (kind: string) => `${kind}, shared`,
  begin: { CLIENT: 'Client start', SERVER: 'Server start', PRODUCER: 'Producer start', CONSUMER: 'Consumer start' },
  end: { CLIENT: 'Client finish', SERVER: 'Server finish', PRODUCER: 'Producer finish', CONSUMER: 'Consumer finish' },
  beginAny: 'Start',
  endAny: 'Finish',
  fields: {
    id: 'Span ID',
    parentId: 'Parent ID',
    traceId: 'Trace ID',
    start: 'Start',
    local: 'Local endpoint',
    remote: 'Remote endpoint',
    debug: 'Debug',
  },
  yes: 'yes',
  usual: 'Usual for this operation, in the six hours until this trace',
  requests: 'Requests',
  p50: 'p50',
  p95: 'p95',
  thisOne: 'This one',
  noVersion: 'no version',
  slowerThan: (percentile: string | undefined) => (percentile === undefined ? 'as usual' : `above ${percentile}`),
  overTime: 'This operation over time',
  asInFile: 'As it is in the file',
  detailsFailed: 'The details could not be loaded',
  loadingDetails: 'Loading the details…',

  // Table and flame graph.
  operationsLabel: 'Operations of this trace',
  operation: 'Operation',
  callCount: 'Calls',
  errorCount: 'Failed',
  total: 'Total',
  selfShare: 'Share of self time',
  longest: 'Longest',
  usualColumn: 'Usual for this version',
  usualWaiting: '…',
  usualFailed: 'failed',
  usualP95: (duration: string) => `p95 ${duration}`,
  usualOf: (requests: number, version: string | undefined) =>
    `The median and the p95 of ${formatCount(requests, 'request')} ${version === undefined ? 'without a version' : `of version ${version}`}, in the six hours until this trace`,
  longestAbove: (percentile: string) => `longest above ${percentile}`,
  criticalColumn: 'Critical path',
  operationsCut: (shown: number, all: number) => `The ${shown.toLocaleString('en')} with the most time of their own, of ${all.toLocaleString('en')}.`,
  flameTitle: 'Time by call path',
  flameSummary: (paths: number, top: string, share: number) =>
    `${formatCount(paths, 'call path')}; most time of its own has ${top}: ${formatShare(share)} of all.`,
  flameNothing: 'No span of this trace has a time of its own.',
  flameNote: 'Calls of one path are one box, as wide as they took together. Press a box for its slowest span.',
  flameDeep: (shown: number, all: number) => `The first ${shown} of ${all.toLocaleString('en')} levels: look at a span further down to see more.`,
  selfColumn: 'Self',

  // Upload.
  upload: 'Look at a trace from a file',
  uploadWhat: 'Zipkin JSON of version 1 or 2, OpenTelemetry JSON, or Jaeger JSON, plain or gzip. Nothing of it is stored.',
  file: 'File',
  chooseFile: 'Choose a file',
  dropFile: 'or drop it here',
  chooseTrace: 'Traces in this file',
  chooseTraceMore: (shown: number, all: number) => `The first ${shown.toLocaleString('en')} of ${all.toLocaleString('en')} traces.`,
  anotherFile: 'Another file',
  fileOf: (name: string) => `From ${name}`,
  notRead: (name: string) => `${name} could not be read`,

  // Keys.
  keys: {
    group: 'Trace',
    down: 'Next row',
    up: 'Row before',
    open: 'Expand, or go to the first below',
    close: 'Collapse, or go to the one above',
    slowest: 'Slowest span: most time of its own on the critical path',
    nextCritical: 'Next span of the critical path',
    previousCritical: 'Span of the critical path before',
    nextError: 'Next span that failed',
    previousError: 'Span that failed before',
    zoomIn: 'Zoom in',
    zoomOut: 'Zoom out',
    zoomAll: 'The whole length',
    panLeft: 'Earlier',
    panRight: 'Later',
    expandLevel: 'Expand one level',
    collapseLevel: 'Collapse one level',
    root: 'Look only at the row and what is below it',
    back: 'Close, or back to the whole trace',
  },
};

function formatMatches(count: number): string {
  return count === 1 ? '1 match' : `${count.toLocaleString('en')} matches`;
}
