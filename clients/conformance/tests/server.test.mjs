// The fault server as it is commanded over HTTP, from README.md.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Place } from '../faults/place.mjs';
import { FaultServer } from '../server.mjs';

async function startFaults(t, options) {
  const faults = await FaultServer.start(options);
  t.after(() => faults.close());
  const command = async (method, path, body) => {
    const answer = await fetch(new URL(path, faults.url), { method, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    return { status: answer.status, body: text ? JSON.parse(text) : null };
  };
  return { faults, command };
}

const follow = (url, more = '') => fetch(`${url}v1/events?topic=lab/**${more}`, { headers: { Accept: 'text/event-stream' } });

test('a place plays what it is told, and says what was asked', async (t) => {
  const { command } = await startFaults(t);
  const plays = [{ status: 503, headers: { 'Retry-After': '2' }, body: 'no' }, { stream: ['data: {"part', { cut: 'break' }] }];
  const { status, body: { id, url } } = await command('POST', 'places', { plays });
  assert.equal(status, 201);
  const refused = await follow(url, '&after=e1-7');
  assert.deepEqual([refused.status, refused.headers.get('retry-after'), await refused.text()], [503, '2', 'no']);
  const broken = await follow(url);
  await assert.rejects(broken.text());
  const { body: { requests } } = await command('GET', `places/${id}`);
  assert.deepEqual(requests.map(({ kind, cursor }) => [kind, cursor]), [['sse', 'e1-7'], ['sse', null]]);
});

test('what is pushed comes on streams that are open, and plays can be added', async (t) => {
  const { command } = await startFaults(t);
  const { body: { id, url } } = await command('POST', 'places');
  await command('POST', `places/${id}/plays`, [{ stream: [] }]);
  const stream = await follow(url);
  assert.equal((await command('POST', `places/${id}/push`, ['data: 1\n\n', { cut: 'end' }])).status, 204);
  assert.equal(await stream.text(), 'data: 1\n\n');
});

test('a place that is closed twice is closed, and can be opened again', async () => {
  const place = await Place.open();
  await place.close();
  await place.close();
  await place.listen();
  assert.equal((await fetch(new URL('v1/nothing', place.url))).status, 404);
  await place.close();
});

test('a place passes on to a server, and cuts its answers', async (t) => {
  const far = await startFaults(t);
  const { body: { url: upstream } } = await far.command('POST', 'places', { plays: [{ body: { text: 'a'.repeat(1_000) }, times: 2 }] });
  const { command } = await startFaults(t, { upstream });
  const { body: { url } } = await command('POST', 'places', { plays: [{ upstream: { cut_after_bytes: 500, cut: 'break' } }] });
  await assert.rejects(follow(url).then((answer) => answer.text()));
  assert.equal((await (await follow(url)).json()).text.length, 1_000);
});

test('mistakes are told, and change nothing', async (t) => {
  const { faults, command } = await startFaults(t);
  for (const [method, path, body, status, detail] of [
    ['POST', 'places', { plays: [{ statuss: 503 }] }, 400, /no member `statuss`, but for, times/],
    ['POST', 'places', { plays: [{ for: 'all' }] }, 400, /`for` is one of follow/],
    ['POST', 'places', { plays: {} }, 400, /takes a list/],
    ['GET', 'places/7', undefined, 404, /no place 7/],
    ['GET', 'plays', undefined, 404, /there are \/places/],
  ]) {
    const answer = await command(method, path, body);
    assert.equal(answer.status, status);
    assert.match(answer.body.detail, detail);
  }
  const broken = await fetch(new URL('places', faults.url), { method: 'POST', body: '{' });
  assert.equal(broken.status, 400);
  assert.deepEqual((await command('GET', 'places')).body, []);
});

test('the commands of README.md do what it says', async (t) => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const program = fileURLToPath(new URL('../server.mjs', import.meta.url));
  const child = spawn('node', [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill());
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const port = /^listening on http:\/\/127\.0\.0\.1:(\d+)\/$/.exec(line)[1];
  const commands = [...readme.matchAll(/^\$ (curl .*)$/gm)].map(([, command]) => command);
  assert.ok(commands.length >= 3);
  let place = '';
  for (const command of commands) {
    const shell = spawn('sh', ['-c', command.replaceAll('localhost:4000', `127.0.0.1:${port}`).replaceAll('http://127.0.0.1:41234/', place)]);
    let output = '';
    shell.stdout.on('data', (bytes) => { output += bytes; });
    await once(shell, 'close');
    assert.doesNotMatch(output, /"detail"/, `${command}: ${output}`);
    if (output.startsWith('{')) place = JSON.parse(output).url ?? place;
  }
  const { requests } = await (await fetch(`http://127.0.0.1:${port}/places/1`)).json();
  assert.deepEqual(requests.map(({ kind }) => kind), ['sse']);
});

/** Says this on a connection of its own; resolves when a place has closed it, or with what it answers. */
async function say(url, ...texts) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  for (const text of texts) {
    socket.write(text);
    await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  }
  socket.destroy();
}

test('what nobody can read disturbs nobody else', async (t) => {
  const place = await Place.open();
  t.after(() => place.close());
  await say(place.url, 'GET // HTTP/1.1\r\nHost: place\r\n\r\n');
  await say(place.url, 'OPTIONS * HTTP/1.1\r\nHost: place\r\n\r\n');
  const upgrade = 'GET /v1/events HTTP/1.1\r\nHost: place\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n';
  for (const text of ['hello', 'null']) {
    const frame = Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0, ...Buffer.from(text)]);
    const ping = Buffer.from([0x81, 0x80 | 8, 0, 0, 0, 0, ...Buffer.from('{"id":1}')]);
    await say(place.url, upgrade, Buffer.concat([frame, ping]));
  }
  assert.deepEqual(place.asked('websocket').map(({ messages }) => messages.map(({ text }) => text)), [['hello', '{"id":1}'], ['null', '{"id":1}']]);
  assert.equal((await fetch(new URL('v1/nothing', place.url))).status, 404);
});

test('a place remembers no more than it has room for', async (t) => {
  const place = await Place.open();
  t.after(() => place.close());
  const body = 'x'.repeat(15 * 1024 * 1024);
  for (let count = 0; count < 6; count += 1) await fetch(new URL('v1/topics/a', place.url), { method: 'POST', body });
  assert.equal(place.requests.length, 4);
});
