// `curl -N`, the client of the documentation: events show up as they come, whatever the framing.

import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { proves, provesOverTls } from './bellwire.mjs';

const FRAMINGS = [
  ['Server-Sent Events', []],
  ['Server-Sent Events on HTTP/1.0', ['--http1.0']],
  ['Server-Sent Events where compression is welcome', ['--compressed']],
  ['NDJSON', ['-H', 'Accept: application/x-ndjson']],
  // An offer to go on in HTTP/2, which is passed over.
  ['Server-Sent Events where HTTP/2 is offered without TLS', ['--http2']],
  ['HTTP/2 without TLS, of which curl knows', ['--http2-prior-knowledge']],
];

const TLS_FRAMINGS = [
  ['TLS 1.3', ['--http1.1', '--tlsv1.3']],
  ['TLS 1.2', ['--http1.1', '--tls-max', '1.2']],
  ['HTTP/2', ['--http2']],
  ['HTTP/2 where compression is welcome', ['--http2', '--compressed']],
  ['HTTP/2, NDJSON', ['--http2', '-H', 'Accept: application/x-ndjson']],
];

const curl = spawnSync('curl', ['--version'], { encoding: 'utf8' });

if (curl.error) {
  console.error('SKIPPED: there is no curl on this machine');
  test('curl shows events as they come', { skip: 'there is no curl' }, () => {});
} else {
  for (const [name, flags] of FRAMINGS) {
    const title = `curl shows events as they come: ${name}`;
    if (canSpeak(flags, title)) proves(title, (server, atEnd) => showsEvents(server, atEnd, flags));
  }
  for (const [name, flags] of TLS_FRAMINGS) {
    const title = `curl shows events as they come: ${name}`;
    if (!canSpeak(flags, title)) continue;
    provesOverTls(title, (server, atEnd, certificate) =>
      showsEvents(server, atEnd, flags, ['--cacert', certificate]));
  }
}

/** Whether this curl speaks what the flags ask for; says so where it does not. */
function canSpeak(flags, title) {
  const wantsHttp2 = flags.some((flag) => flag.startsWith('--http2'));
  if (!wantsHttp2 || curl.stdout.includes('HTTP2')) return true;
  console.error(`SKIPPED: this curl speaks no HTTP/2: ${title}`);
  test(title, { skip: 'this curl speaks no HTTP/2' }, () => {});
  return false;
}

async function showsEvents(server, atEnd, flags, trust = []) {
  const url = `${server.url}/v1/events?topic=lab/**`;
  const lines = follow(atEnd, ['-sSN', ...trust, ...flags, url]);
  assert.equal((await nextObject(lines)).control, 'ready');
  for (const text of ['one', 'two', 'three']) {
    // The next one is published only after this one was shown: nothing sits in a buffer.
    const { cursor } = await run([...trust, '-d', text, `${server.url}/v1/topics/lab/notes`]);
    const event = await nextObject(lines);
    assert.equal(event.data, text);
    assert.equal(event.cursor, cursor);
  }
}

/** The lines of a curl that runs until the test is over. */
function follow(atEnd, flags) {
  const curl = spawn('curl', flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  atEnd(async () => {
    if (curl.exitCode !== null || curl.signalCode !== null) return;
    const ended = once(curl, 'exit');
    curl.kill('SIGKILL');
    await ended;
  });
  return createInterface({ input: curl.stdout })[Symbol.asyncIterator]();
}

/** The object of the next line that holds one: NDJSON, or the `data:` of an event. */
async function nextObject(lines) {
  for (;;) {
    const { value, done } = await lines.next();
    assert.ok(!done, 'curl ended');
    const json = value.match(/^(?:data: )?(\{.*\})$/)?.[1];
    if (json) return JSON.parse(json);
  }
}

async function run(flags) {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--fail-with-body', ...flags]);
  return JSON.parse(stdout);
}
