// The reverse proxies of docs/proxies.md, set up as it says: events come at once over each version
// of HTTP, what is silent for longer than the proxy waits stays connected, and the page's buttons
// work. And what happens where they are set up otherwise.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';
import { HAS_OPENSSL, makeCertificate } from '../certificate.mjs';
import { freePort } from '../port.mjs';
import { example, hasProxy, startProxy } from '../proxy.mjs';
import { provesWithFlags } from './bellwire.mjs';

/**
 * The server's, and what proxies wait for in place of the 90 s of the documentation: several times
 * as long, and long enough for a machine that has much else to do.
 */
const HEARTBEAT = ['--heartbeat-interval', '700ms'];
const IDLE_TIMEOUT = '4s';
/** Heartbeats in which a proxy that did not see them would have hung up. */
const HEARTBEATS = 10;

const FRAMINGS = [
  ['HTTP/1.1', ['--http1.1']],
  ['HTTP/2', ['--http2']],
  ['HTTP/1.1, NDJSON', ['--http1.1', '-H', 'Accept: application/x-ndjson']],
  ['HTTP/2, NDJSON', ['--http2', '-H', 'Accept: application/x-ndjson']],
];

/** Each proxy's file of examples/proxies, as a test runs it. */
const FILES = {
  nginx: (port, upstream, { certificate, key }) =>
    example('nginx.conf', [
      ['127.0.0.1:8080', upstream],
      ['listen 443 ', `listen 127.0.0.1:${port} `],
      ['bellwire.example', 'localhost'],
      ['/etc/bellwire/certificate.pem', certificate],
      ['/etc/bellwire/key.pem', key],
      ['90s', IDLE_TIMEOUT],
    ]),
  haproxy: (port, upstream, { both }) =>
    example('haproxy.cfg', [
      ['127.0.0.1:8080', upstream],
      ['bind :443 ', `bind 127.0.0.1:${port} `],
      ['/etc/bellwire/bellwire.pem', both],
      ['90s', IDLE_TIMEOUT],
    ]),
  caddy: (port, upstream, { certificate, key }) =>
    example('Caddyfile', [
      ['127.0.0.1:8080', upstream],
      ['bellwire.example', `https://localhost:${port}`],
      ['/etc/bellwire/certificate.pem', certificate],
      ['/etc/bellwire/key.pem', key],
    ]),
};

/** A test with a server and the proxy, said to be skipped where there is none. */
function provesWithProxy(proxy, name, body, flags = []) {
  const missing = !hasProxy(proxy) ? proxy : !HAS_OPENSSL ? 'openssl' : null;
  if (!missing) return provesWithFlags(name, [...HEARTBEAT, ...flags], body);
  console.error(`SKIPPED: there is no ${missing} on this machine: ${name}`);
  test(name, { skip: `there is no ${missing}` }, () => {});
}

/** A certificate in a folder, in one file, in two, and as flags of curl. */
function credentials(atEnd) {
  const folder = mkdtempSync(join(tmpdir(), 'bellwire-certificate-'));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const { certificate } = makeCertificate(folder);
  const [key, both] = [join(folder, 'key.pem'), join(folder, 'both.pem')];
  writeFileSync(both, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'));
  return { certificate, key, both, trust: ['--cacert', certificate] };
}

const upstream = (server) => new URL(server.url).host;

/** Starts the proxy before the server; gives where it is. */
async function through(proxy, server, atEnd) {
  const secrets = credentials(atEnd);
  const port = await freePort();
  await startProxy(proxy, FILES[proxy](port, upstream(server), secrets), port, atEnd);
  return { url: `https://localhost:${port}`, ...secrets };
}

for (const proxy of Object.keys(FILES)) {
  provesWithProxy(proxy, `${proxy} passes events on at once, after silence too, over each version of HTTP`, async (server, atEnd) => {
    const { url, trust } = await through(proxy, server, atEnd);
    // All at once: each of them waits, and none for another.
    await Promise.all(FRAMINGS.map(async ([name, flags], index) => {
      const version = await curl([...trust, ...flags, '-o', '/dev/null', '-w', '%{http_version}', `${url}/healthz`]);
      assert.equal(version, flags.includes('--http2') ? '2' : '1.1', name);
      const topic = `lab/${index}`;
      const lines = follow(atEnd, [...trust, ...flags, `${url}/v1/events?topic=${topic}`]);
      assert.equal((await lines.object()).control, 'ready', name);
      for (const text of ['one', 'two']) await passesOn(lines, topic, text, [...trust, url]);
      await lines.heartbeats(HEARTBEATS);
      await passesOn(lines, topic, 'three', [...trust, url]);
    }));
  });

  provesWithProxy(proxy, `${proxy} passes WebSockets on, after silence too`, async (server, atEnd) => {
    const { url, certificate } = await through(proxy, server, atEnd);
    const socket = new WebSocket(`${url.replace('https', 'wss')}/v1/events?topic=lab/**`, 'bellwire.v1.json', {
      ca: readFileSync(certificate),
      origin: url,
    });
    atEnd(() => socket.terminate());
    const items = [];
    let wake = () => {};
    let pings = 0;
    socket.on('message', (data) => (items.push(JSON.parse(data)), wake()));
    socket.on('ping', () => ((pings += 1), wake()));
    const until = async (look) => {
      for (let found; ; await new Promise((resolve) => (wake = resolve))) {
        if ((found = look())) return found;
        assert.ok(socket.readyState <= WebSocket.OPEN, 'the socket is closed');
      }
    };
    socket.on('close', () => wake());
    await until(() => items.find((item) => item.control === 'ready'));
    await until(() => pings >= HEARTBEATS);
    socket.send(JSON.stringify({ request: 'publish', id: 1, topic: 'lab/talk', data: 'still here' }));
    const event = await until(() => items.find((item) => item.topic === 'lab/talk'));
    assert.equal(event.data, 'still here');
  });

  provesWithProxy(proxy, `${proxy} lets the page's buttons through`, async (server, atEnd) => {
    const { url, trust } = await through(proxy, server, atEnd);
    const own = await status([...trust, '-H', `Origin: ${url}`, '-d', 'x', `${url}/v1/topics/lab/a`]);
    assert.equal(own, '201');
    const foreign = await status([...trust, '-H', 'Origin: https://elsewhere.example', '-d', 'x', `${url}/v1/topics/lab/a`]);
    assert.equal(foreign, '403');
  });
}

for (const proxy of Object.keys(FILES)) {
  // It connects from 127.0.0.1, and the client from elsewhere.
  const flags = ['--trusted-proxies', '127.0.0.1', '--connections-per-address-max', '1'];
  provesWithProxy(proxy, `${proxy} says whose a request is, whatever its client says`, async (server, atEnd) => {
    const { url, trust } = await through(proxy, server, atEnd);
    const from = (address, said) => [...trust, '--interface', address, ...said.flatMap((header) => ['-H', header])];
    const lines = follow(atEnd, [...from('127.0.0.2', []), `${url}/v1/events?topic=lab/**`]);
    assert.equal((await lines.object()).control, 'ready');
    for (const said of [[], ['X-Forwarded-For: 192.0.2.1'], ['Forwarded: for=192.0.2.1'], ['X-Forwarded-For: 192.0.2.1', 'Forwarded: for=192.0.2.1']]) {
      const flags = from('127.0.0.2', said);
      assert.equal(await status([...flags, `${url}/v1/alerts`]), '429', `it is another's with ${said}`);
    }
    assert.equal(await status([...from('127.0.0.3', []), `${url}/v1/alerts`]), '200');
    const unencrypted = [...from('127.0.0.3', ['X-Forwarded-Proto: http']), '-H', `Origin: ${url.replace('https', 'http')}`];
    assert.equal(await status([...unencrypted, '-d', 'x', `${url}/v1/topics/lab/a`]), '403');
  }, flags);
}

provesWithProxy('nginx', 'a plain proxy_pass streams, and is told why buttons are refused', async (server, atEnd) => {
  const port = await freePort();
  const text = `server { listen 127.0.0.1:${port}; location / { proxy_pass http://${upstream(server)}; } }`;
  await startProxy('nginx', text, port, atEnd);
  const url = `http://localhost:${port}`;
  const lines = follow(atEnd, [`${url}/v1/events?topic=lab/**`]);
  assert.equal((await lines.object()).control, 'ready');
  await passesOn(lines, 'lab/notes', 'one', [url]);
  const answer = await fetch(`${url}/v1/alerts/0/ack`, { method: 'POST', headers: { origin: url }, body: '{}' });
  assert.equal(answer.status, 403);
  const { code, detail } = await answer.json();
  assert.equal(code, 'origin_forbidden');
  assert.match(detail, new RegExp(`the page is of \`${url}\`, and the request came for the host \`${upstream(server)}\``));
  assert.match(detail, /proxy_set_header Host \$http_host;/);
});

provesWithProxy('nginx', 'a path of its own works, with and without the slash at its end', async (server, atEnd) => {
  const port = await freePort();
  const text = example('nginx-below-a-path.conf', [
    ['127.0.0.1:8080', upstream(server)],
    ['listen 80;', `listen 127.0.0.1:${port};`],
    ['tools.example', 'localhost'],
  ]);
  await startProxy('nginx', text, port, atEnd);
  const url = `http://localhost:${port}/bellwire`;
  const page = await fetch(url);
  assert.equal(page.url, `${url}/`);
  assert.match(await page.text(), /Bellwire<\/title>/);
  const lines = follow(atEnd, [`${url}/v1/events?topic=lab/**`]);
  assert.equal((await lines.object()).control, 'ready');
  await passesOn(lines, 'lab/notes', 'one', ['-H', `Origin: http://localhost:${port}`, url]);
});

provesWithProxy('nginx', 'behind a round robin of two servers, the cursor of one is a gap to the other', async (server, atEnd, startAnother) => {
  const other = await startAnother();
  const secrets = credentials(atEnd);
  const port = await freePort();
  const both = `${upstream(server)}; server ${upstream(other)}`;
  await startProxy('nginx', FILES.nginx(port, both, secrets), port, atEnd);
  const resumed = `https://localhost:${port}/v1/events?topic=lab/**`;
  const { cursor } = JSON.parse(await curl(['-d', 'x', `${server.url}/v1/topics/lab/a`]));
  const seen = new Set();
  // One after the other in turn: both have been asked when each has said what it knows.
  for (let turn = 0; turn < 4; turn += 1) {
    const lines = follow(atEnd, [...secrets.trust, '-H', `Last-Event-ID: ${cursor}`, resumed]);
    const { control, reason } = await lines.object();
    seen.add(control === 'gap' ? `gap ${reason}` : control);
  }
  assert.deepEqual(seen, new Set(['ready', 'gap epoch']));
});

test('the documentation shows the files that are run here', () => {
  const shown = readFileSync(new URL('../../docs/proxies.md', import.meta.url), 'utf8');
  for (const name of ['nginx.conf', 'nginx-below-a-path.conf', 'haproxy.cfg', 'Caddyfile']) {
    assert.ok(shown.includes(`\n${example(name, [])}\`\`\``), `${name} stands there differently`);
  }
});

/** The next text is published only after the one before was shown: nothing sits in a buffer. */
async function passesOn(lines, topic, text, flagsAndUrl) {
  const url = `${flagsAndUrl.at(-1)}/v1/topics/${topic}`;
  const { cursor } = JSON.parse(await curl([...flagsAndUrl.slice(0, -1), '-d', text, url]));
  const event = await lines.object();
  assert.equal(event.data, text);
  assert.equal(event.cursor, cursor);
}

async function curl(flags) {
  return (await promisify(execFile)('curl', ['-sS', '--fail-with-body', ...flags])).stdout;
}

const status = async (flags) =>
  (await promisify(execFile)('curl', ['-sS', '-o', '/dev/null', '-w', '%{http_code}', ...flags])).stdout;

/** The lines of a curl that runs until the test is over. */
function follow(atEnd, flags) {
  const curl = spawn('curl', ['-sSN', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  atEnd(async () => {
    if (curl.exitCode !== null || curl.signalCode !== null) return;
    const ended = once(curl, 'exit');
    curl.kill('SIGKILL');
    await ended;
  });
  const lines = createInterface({ input: curl.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    assert.ok(!done, 'curl ended: the proxy has hung up');
    return value;
  };
  return {
    /** The object of the next line that holds one: NDJSON, or the `data:` of an event. */
    async object() {
      for (;;) {
        const json = (await next()).match(/^(?:data: )?(\{.*\})$/)?.[1];
        const object = json && JSON.parse(json);
        if (object && object.control !== 'heartbeat') return object;
      }
    },
    /** That many: a comment, an empty line of NDJSON, or one that moves the cursor. */
    async heartbeats(count) {
      for (let seen = 0; seen < count; ) {
        const line = await next();
        if (line === ':' || line.startsWith(': ') || line.startsWith('{"control":"heartbeat"')) seen += 1;
        else if (line === '' && flags.includes('Accept: application/x-ndjson')) seen += 1;
      }
    },
  };
}
