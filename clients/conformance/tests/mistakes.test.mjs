// Proof that the suite refuses what is wrong: the small client of the examples with one mistake each,
// and programs that are no drivers.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Driver } from '../suite/driver.mjs';
import { runOne } from '../suite/run.mjs';
import { scenarios } from '../suite/scenarios.mjs';

const SMALL = fileURLToPath(new URL('../examples/small.mjs', import.meta.url));

/** How long a client that is wrong is waited for: what does not come is its mistake. */
const PATIENCE_MS = 8_000;
/** How many of them are looked at at a time. */
const AT_A_TIME = 12;

/** What is wrong, what is written in place of what, and which scenarios refuse it. */
const MISTAKES = [
  ['forgets its cursor', ['item.cursor ?? this.#cursor', 'null'], ['comes-back-after-break (sse)', 'resumes-at-ready (sse)']],
  ['goes on at the end of a gap', ['item.cursor ?? this.#cursor', 'item.cursor ?? item.to ?? this.#cursor'], ['resumes-before-gaps (sse)']],
  ['keeps the greatest cursor', ['item.cursor ?? this.#cursor', '[item.cursor, this.#cursor].sort().at(-1)'], ['takes-cursors-as-they-are (sse)']],
  ['passes over heartbeats', ["item.cursor ?? this.#cursor", "(item.control === 'heartbeat' ? null : item.cursor) ?? this.#cursor"], ['resumes-at-heartbeats (sse)']],
  ['takes an id for its event', ["if (line.startsWith('data:'))", "if (line.startsWith('id:')) this.#cursor = line.slice(4); else if (line.startsWith('data:'))"], ['cut-behind-the-id (sse)']],
  ['takes what is cut off for whole', ["if (done) throw", "if (done && data) this.#take(data);\n      if (done) throw"], ['cut-where-only-the-connection-ends (sse)']],
  ['tells events twice', ["else this.tell({ tell: 'event', event: item });", "else [1, 2].forEach(() => this.tell({ tell: 'event', event: item }));"], ['gives-events-as-they-are (sse)']],
  ['hides gaps', ['  #obey(item) {\n', "  #obey(item) {\n    if (item.control === 'gap') return;\n"], ['tells-of-gaps (sse)']],
  ['takes an outage for an end', ["if (item.control === 'bye') throw", "if (item.control === 'degraded') throw new Fault('connection_lost');\n    if (item.control === 'bye') throw"], ['stays-through-outages (sse)']],
  ['comes back at once', ['Math.random() * bound', '0'], ['backs-off-from-refusals (sse)']],
  ['comes back each second', ['Math.random() * bound', '1_000'], ['backs-off-from-refusals (sse)']],
  ['takes what is open for healthy', ['const HEALTHY_MS = 10_000;', 'const HEALTHY_MS = 0;'], ['backs-off-from-short-lives (sse)']],
  ['passes over Retry-After', ['Math.max(fault.retryAfterMs ?? 0, Math.random() * bound)', 'Math.random() * bound'], ['waits-as-503-asks (sse)', 'waits-as-bye-asks (sse)']],
  ['knows no dates', ['Math.max(0, Date.parse(asked) - Date.now() || 0)', '0'], ['waits-until-a-date (sse)']],
  ['comes back after 204', ["if (response.status === 204) return;", ''], ['stops-at-204 (sse)']],
  ['tries again whatever is wrong', ['status < 500 && !PASSING.includes(status)', 'false'], ['stops-at-what-is-wrong (sse)', 'stops-at-404 (sse)']],
  ['gives up at the first refusal', ['status < 500 && !PASSING.includes(status)', 'true'], ['passes-502 (sse)', 'waits-as-429-asks (sse)']],
  ['takes any page for a stream', ['if (!/^text\\/event-stream/i.test(', 'if (false && !/^text/i.test('], ['stops-at-what-is-no-bellwire (sse)']],
  ['gives up behind a captive portal', ["{ isForGood: !this.#wasReady });\n    }\n    const decoder", "{ isForGood: true });\n    }\n    const decoder"], ['outlives-a-captive-portal (sse)']],
  ['comes back when it is closed', ['if (this.#isClosed) return;\n    this.#isClosed = true;', ''], ['stops-while-it-waits (sse)']],
  ['has no watch', ['control.abort(new Fault(', 'void (new Fault('], ['notices-silence (sse)']],
  ['hears no comments', ['      this.#watchFor((this.heartbeatMs ??', "      if (!decoder.decode(value).startsWith(':')) this.#watchFor((this.heartbeatMs ??"], ['hears-comments (sse)']],
  ['is impatient', ['const CONNECT_MS = 15_000;', 'const CONNECT_MS = 1_000;'], ['waits-for-a-slow-head (sse)']],
  ['breaks characters', ['decoder.decode(value, { stream: true })', 'new TextDecoder().decode(value)'], ['reads-byte-by-byte (sse)']],
  ['keeps byte order marks', ["new TextDecoder()", "new TextDecoder('utf-8', { ignoreBOM: true })"], ['reads-behind-a-byte-order-mark (sse)']],
  ['knows one end of lines', ['/\\r\\n|\\n|\\r(?!$)/', '/\\n/'], ['reads-crlf (sse)', 'reads-cr (sse)']],
  ['reads lines apart', ["`${data === null ? '' : `${data}\\n`}${line.slice(5)}`", 'line.slice(5)'], ['reads-several-data-lines (sse)']],
  ['holds lines without an end', ['LINE_LENGTH_MAX) throw', 'Infinity) throw'], ['bounds-what-it-holds (sse)']],
  ['sits out broken chunks', ['reader.read(), silence', 'reader.read().catch((error) => /^HPE/.test(error.cause?.code) ? new Promise(() => {}) : Promise.reject(error)), silence'], ['refuses-broken-chunks (sse)']],
  ['tells of what is broken', ["throw new Fault('frame_malformed');\n    }\n    if", "item = { topic: 'lab/a', data };\n    }\n    if"], ['refuses-what-is-no-json (sse)', 'refuses-empty-data (sse)']],
  ['fights for its place', ["{ isForGood: true }) : new Fault('conn", "{}) : new Fault('conn"], ['stops-at-displaced (sse)']],
  ['shows no token', ['...(token && {', '...(false && {'], ['shows-its-token (sse)']],
  ['asks for one topic', ["filters.forEach((filter) => this.url.searchParams.append('topic', filter))", "this.url.searchParams.set('topic', filters[0])"], ['asks-for-what-is-followed (sse)']],
  ['passes over the path', ["new URL('v1/events', ", "new URL('/v1/events', "], ['asks-below-a-path (sse)']],
  ['says that it is live at once', ["if (item.control === 'ready') this.tell({ tell: 'status', status: 'live' });", ''], ['gives-events-as-they-are (sse)']],
];

test('clients with a mistake are refused', { concurrency: AT_A_TIME }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-mistakes-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const source = await readFile(SMALL, 'utf8');
  await Promise.all(MISTAKES.map(([mistake, [right, wrong], refusing], index) => t.test(mistake, async () => {
    assert.equal(source.split(right).length, 2, `\`${right}\` stands once in the client`);
    const program = join(folder, `${index}.mjs`);
    await writeFile(program, source.replace(right, () => wrong));
    const driver = await Driver.start(['node', program]);
    try {
      await Promise.all(refusing.map(async (title) => {
        const scenario = scenarios.find((scenario) => scenario.title === title);
        assert.ok(scenario, `there is a scenario ${title}`);
        const { outcome } = await runOne(scenario, driver, { patienceMs: PATIENCE_MS });
        assert.equal(outcome, 'failed', `${title} has passed a client that ${mistake}`);
      }));
    } finally {
      driver.kill();
    }
  })));
});

test('what is no driver is told so', async () => {
  const hello = "console.log(JSON.stringify({ tell: 'hello', name: 'none', capabilities: ['sse'] }));";
  const onLine = (body) => `${hello} process.stdin.on('data', (line) => { const { id } = JSON.parse(line.toString().split('\\n')[0]); ${body} });`;
  const told = (tell) => `console.log(JSON.stringify(${tell}));`;
  const scenario = scenarios.find(({ title }) => title === 'gives-events-as-they-are (sse)');
  for (const [program, error] of [
    ["console.log('ready!')", /written what is no JSON/],
    ['console.log(7)', /first line is no `hello`/],
    ['process.exit(3)', /ended: status 3/],
    [onLine('process.exit(4);'), /ended: status 4/],
    [onLine("console.log('oops');"), /written what is no JSON: oops/],
    [onLine(told("{ id: 'x', tell: 'event' }")), /an id that nobody has given/],
    [onLine(told("{ id, tell: 'closed', error: null }") + told("{ id, tell: 'event' }")), /tells of what is closed/],
  ]) {
    await assert.rejects(async () => {
      const driver = await Driver.start(['node', '-e', program]);
      try {
        const { error } = await runOne(scenario, driver);
        throw error;
      } finally {
        driver.kill();
      }
    }, error);
  }
  await assert.rejects(Driver.start(['/no/such/program']), /cannot be started/);
  const mute = ['node', '-e', 'process.stdin.resume()'];
  await assert.rejects(Driver.start(mute, { patienceMs: 1_000 }), /told no `hello`/);
});

test('a driver that does not end when it is told to is ended', async () => {
  const hello = "console.log(JSON.stringify({ tell: 'hello', name: 'none', capabilities: [] }));";
  const driver = await Driver.start(['node', '-e', `${hello} setInterval(() => {}, 1_000);`], { patienceMs: 5_000 });
  assert.equal(await driver.exit(), 'SIGKILL');
});
