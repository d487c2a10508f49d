// The hooks in a real browser against the real server: rendered by a server, hydrated, rendered twice
// as StrictMode has it, while components come and go and the server is killed.

import assert from 'node:assert/strict';
import { rmSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openPages } from '../../../tests/browser/example.mjs';
import { PATIENCE_MS } from '../../../tests/browser/setting.mjs';
import { bundle, load, REACTS } from './bundle.mjs';

const TEST_PATIENCE_MS = 5 * PATIENCE_MS;

const PAGE = `
import { createRoot, hydrateRoot } from 'react-dom/client';
import { App, stageOf } from './app.jsx';
globalThis.start = (first) => {
  globalThis.stage = stageOf(first);
  const root = document.getElementById('root');
  const app = <App stage={globalThis.stage} />;
  if (root.hasChildNodes()) hydrateRoot(root, app, { onRecoverableError: (error) => console.error('not hydrated:', error.message) });
  else createRoot(root).render(app);
};`;

const SERVER = `
import { renderToString } from 'react-dom/server';
import { App, stageOf } from './app.jsx';
export const render = (first) => renderToString(<App stage={stageOf(first)} />);`;

const RULES = `
groups:
  - name: boilers
    rules:
      - alert: BoilerHot
        expr: temperature > 90
        labels: { severity: critical }
`;

/**
 * A page on which \`show\` has the application show parts, and what tests ask of it. \`html\` is what a
 * server has rendered.
 */
async function openApp(t, { react = 19, html = '', flags = [] } = {}) {
  const script = await bundle(PAGE, { react });
  const find = (path) => (path === '/app.js'
    ? { type: 'text/javascript', text: script }
    : { type: 'text/html', text: `<!doctype html><title>app</title><div id="root">${html}</div><script src="/app.js"></script>` });
  const { server, page, origin, faults } = await openPages(t, find, flags);
  page.on('console', (line) => {
    // What a browser itself says of a server that is away, or refuses, is no fault of the page.
    if (['error', 'warning'].includes(line.type()) && !/Failed to load resource|ERR_/.test(line.text())) faults.push(line.text());
  });
  const opened = [];
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.pathname === '/v1/events') opened.push([...url.searchParams.getAll('topic'), ...url.searchParams.getAll('query')].join());
  });
  await page.goto(origin);
  let isStarted = false;
  const show = async (parts, others = {}) => {
    const next = { parts, provider: { url: server.url }, ...others };
    await page.evaluate(([isStarted, next]) => (isStarted ? globalThis.stage.set(next) : globalThis.start(next)), [isStarted, next]);
    isStarted = true;
  };
  const shown = async (id) => JSON.parse((await page.locator(`#${id}`).textContent()) || 'null');
  /** Waits until a part shows just this. */
  const shows = async (id, expected) => {
    const text = JSON.stringify(expected);
    try {
      await page.waitForFunction(([id, text]) => document.getElementById(id)?.textContent === text, [id, text]);
    } catch (error) {
      throw new Error(`#${id} never showed ${text}, but ${await page.evaluate((id) => document.getElementById(id)?.textContent, id)}; ${faults}`, { cause: error });
    }
  };
  const post = async (path, body) => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${server.url}/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    assert.ok(response.ok, await response.text());
  };
  const streams = async () => Number((await (await fetch(`${server.url}/metrics`)).text()).match(/^bellwire_streams_open (\d+)/m)[1]);
  const haveEnded = async (count) => {
    while ((await streams()) !== count) await page.waitForTimeout(20);
  };
  const record = (name) => page.evaluate((name) => globalThis.record[name], name);
  return { server, page, faults, opened, show, shown, shows, post, streams, haveEnded, record };
}

const event = (data) => ({ topic: data % 2 ? 'news' : 'chat/a', data });
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

for (const react of Object.keys(REACTS)) {
  const proves = (name, body) => test(`react ${react}: ${name}`, { timeout: TEST_PATIENCE_MS }, (t) => body(t, { react }));

  proves('components that ask for the same share a connection, which closes after the last', async (t, setting) => {
    const { faults, opened, show, shows, post, streams, haveEnded, page } = await openApp(t, setting);
    await post('v1/samples', { name: 'temperature', labels: { site: 'oslo' }, value: 20 });
    const state = (id) => ({ part: 'state', id });
    await show([state('one'), state('two')]);
    const cold = { status: 'live', values: [['{site="oslo"}', 20]] };
    await shows('one', cold);
    await shows('two', cold);
    assert.deepEqual(opened, ['samples/temperature']);
    assert.equal(await streams(), 1);
    // Another takes the place of both at once, and has what they had without asking.
    await show([state('three')]);
    await shows('three', cold);
    await show([]);
    await show([state('four')]);
    await shows('four', cold);
    assert.deepEqual(opened, ['samples/temperature']);
    await post('v1/samples', { name: 'temperature', labels: { site: 'oslo' }, value: 21 });
    await shows('four', { status: 'live', values: [['{site="oslo"}', 21]] });
    await show([]);
    await haveEnded(0);
    await page.waitForFunction(() => document.getElementById('root').textContent === '');
    // What was closed is opened anew, and shows nothing old meanwhile.
    await show([state('five')]);
    await shows('five', { status: 'live', values: [['{site="oslo"}', 21]] });
    assert.deepEqual(opened, ['samples/temperature', 'samples/temperature']);
    assert.deepEqual(faults, []);
  });

  proves('hooks of different arguments share one connection where the transport is of tabs', async (t, setting) => {
    const { server, faults, show, shows, post, haveEnded } = await openApp(t, setting);
    await post('v1/samples', { name: 'temperature', labels: { site: 'oslo' }, value: 20 });
    await post('v1/topics/news', 1);
    const parts = ['state', 'events', 'alerts', 'connection'].map((part) => ({ part }));
    const showAll = async (value, data) => {
      await shows('state', { status: 'live', values: [['{site="oslo"}', value]] });
      await shows('events', { status: 'live', data });
      await shows('alerts', { status: 'live', names: [] });
      await shows('connection', { status: 'live', waits: false });
    };
    await show(parts, { isSharing: true });
    await showAll(20, [1]);
    await haveEnded(1);
    await server.end('SIGKILL');
    await server.start();
    await post('v1/topics/news', 2);
    await post('v1/samples', { name: 'temperature', labels: { site: 'oslo' }, value: 21 });
    await showAll(21, [1, 2]);
    await haveEnded(1);
    await show([]);
    await haveEnded(0);
    assert.deepEqual(faults, []);
  });

  proves('what a server has rendered is hydrated without a word, and connects only then', async (t, setting) => {
    const { render } = load(await bundle(SERVER, { ...setting, platform: 'node' }));
    const parts = ['state', 'events', 'listener', 'query', 'alerts', 'presence', 'connection', 'client'].map((part) => ({ part }));
    const asked = [];
    const { fetch } = globalThis;
    globalThis.fetch = (...request) => { asked.push(request); };
    // Relative to a page, which a server has not.
    const html = render({ parts, provider: { url: '/' } });
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.fetch = fetch;
    assert.deepEqual(asked, []);
    assert.match(html, /id="state">{&quot;status&quot;:&quot;connecting&quot;,&quot;values&quot;:\[\]}</);
    const { faults, opened, page, show, shows, post } = await openApp(t, { ...setting, html, flags: ['--presence', 'rooms/**'] });
    await post('v1/samples', { name: 'temperature', labels: { site: 'oslo' }, value: 20 });
    const before = await page.locator('#root').innerHTML();
    assert.deepEqual(opened, []);
    await page.evaluate(() => { document.getElementById('state').wasRendered = true; });
    await show(parts);
    await shows('state', { status: 'live', values: [['{site="oslo"}', 20]] });
    await shows('connection', { status: 'live', waits: false });
    // The very element that the server has rendered.
    assert.ok(await page.evaluate(() => document.getElementById('state').wasRendered));
    assert.notEqual(await page.locator('#root').innerHTML(), before);
    assert.deepEqual(faults, []);
  });

  proves('hooks show what is true, across a kill of the server', async (t, setting) => {
    const folder = mkdtempSync(join(tmpdir(), 'bellwire-react-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 'rules.yml'), RULES);
    const flags = ['--rules', join(folder, 'rules.yml'), '--presence', 'rooms/**', '--presence-grace', '200ms'];
    const { server, faults, show, shown, shows, post, page, record } = await openApp(t, { ...setting, flags });
    const parts = ['state', 'query', 'alerts', 'presence', 'connection'].map((part) => ({ part }));
    await show([{ part: 'connection' }]);
    await shows('connection', { status: 'idle', waits: false });
    await show([...parts, { part: 'present', name: 'Ada' }]);
    await shows('connection', { status: 'live', waits: false });
    await shows('alerts', { status: 'live', names: [] });
    await post('v1/samples', { name: 'temperature', labels: { site: 'oslo' }, value: 95 });
    const isHot = { status: 'live', values: [['{site="oslo"}', 95]] };
    await shows('state', isHot);
    await shows('query', { status: 'live', mode: 'stream', values: isHot.values });
    await shows('alerts', { status: 'live', names: ['BoilerHot firing'] });
    await shows('presence', { followers: 1, shown: [{ name: 'Ada' }] });
    const board = ['state', 'query', 'alerts', 'presence'];
    const before = await Promise.all(board.map(shown));
    const changes = await record('changes');
    await server.end('SIGKILL');
    await page.waitForFunction(() => /"waiting","error":"connection_\w+","waits":true/.test(document.getElementById('connection').textContent));
    // What is known stays while nobody can say otherwise.
    const meanwhile = await Promise.all(board.map(shown));
    assert.deepEqual(meanwhile.map(({ values }) => values), before.map(({ values }) => values));
    // They are the same objects, too.
    assert.deepEqual(await record('changes'), changes);
    await server.start();
    await shows('connection', { status: 'live', waits: false });
    await shows('alerts', { status: 'live', names: ['BoilerHot firing'] });
    await shows('presence', { followers: 1, shown: [{ name: 'Ada' }] });
    await post('v1/samples', { name: 'temperature', labels: { site: 'oslo' }, value: 96 });
    await shows('state', { status: 'live', values: [['{site="oslo"}', 96]] });
    await post('v1/samples', { name: 'temperature', labels: { site: 'oslo' }, value: 50 });
    await shows('query', { status: 'live', mode: 'stream', values: [] });
    await shows('alerts', { status: 'live', names: ['BoilerHot resolved'] });
    // Another question shows nothing of the one before.
    await show([{ part: 'query', expression: 'temperature * 2' }, { part: 'connection' }]);
    await shows('query', { status: 'live', mode: 'stream', values: [['{site="oslo"}', 100]] });
    await show([{ part: 'query', expression: null }, { part: 'connection' }]);
    await shows('query', { status: 'idle', values: [] });
    await shows('connection', { status: 'idle', waits: false });
    assert.deepEqual(faults, []);
  });

  proves('events are the newest of them, once each, and a function hears each without a rendering', async (t, setting) => {
    const { server, faults, opened, show, shows, post, page, record } = await openApp(t, setting);
    const count = 500;
    await post('v1/events', range(1, 3).map(event));
    const parts = [{ part: 'listener' }, { part: 'events', id: 'few', limit: 4 }, { part: 'events', id: 'many', limit: 2 * count }];
    await show(parts);
    await shows('few', { status: 'live', data: [1, 2, 3] });
    const renders = (await record('renders')).listener;
    for (const begin of [4, 104, 204]) {
      await post('v1/events', range(begin, begin + 99).map(event));
      if (begin === 104) {
        await server.end('SIGKILL');
        await server.start();
      }
    }
    await post('v1/events', range(304, count).map(event));
    await shows('many', { status: 'live', data: range(1, count) });
    await shows('few', { status: 'live', data: range(count - 3, count) });
    const heard = await record('heard');
    assert.deepEqual(heard, range(1, count));
    assert.equal((await record('renders')).listener, renders);
    // A burst is few renderings, and those with lists of their own open nothing anew.
    const { few } = await record('renders');
    assert.ok(few < count, `${few} renderings of ${count} events`);
    assert.equal(new Set(opened).size, 1, opened);
    await show(parts.slice(0, 2));
    await post('v1/topics/news', 'last');
    await page.waitForFunction(() => globalThis.record.heard.at(-1) === 'last');
    await shows('few', { status: 'live', data: [...range(count - 2, count), 'last'] });
    assert.deepEqual(faults, []);
  });

  proves('what is missing and what is refused is told, or thrown where that is asked for', async (t, setting) => {
    const { server, faults, page, show, shows, post, record } = await openApp(t, { ...setting, flags: ['--journal', 'memory'] });
    await show([{ part: 'events' }, { part: 'listener' }]);
    await shows('events', { status: 'live', data: [] });
    await post('v1/topics/news', 1);
    await shows('events', { status: 'live', data: [1] });
    // Another life of the journal.
    await server.end('SIGKILL');
    await server.start();
    await post('v1/topics/news', 2);
    await shows('events', { status: 'live', gap: 'epoch', data: [1, 2] });
    assert.deepEqual(await record('gaps'), ['epoch']);
    assert.deepEqual(faults, []);
    await show([{ part: 'events', id: 'wrong', filters: ['chat//wrong'] }, { part: 'connection' }]);
    await shows('wrong', { status: 'closed', error: 'topic_invalid', data: [] });
    await shows('connection', { status: 'closed', error: 'topic_invalid', waits: false });
    await show([{ part: 'events', id: 'none', filters: [] }, { part: 'events', id: 'nothing', filters: null }, { part: 'connection' }]);
    for (const id of ['none', 'nothing']) await shows(id, { status: 'idle', data: [] });
    await shows('connection', { status: 'idle', waits: false });
    await show([{ part: 'throwing' }]);
    await page.locator('#thrown').getByText('topic_invalid', { exact: true }).waitFor();
  });

  proves('another address or token is another client, and another function for tokens is none', async (t, setting) => {
    const { server, faults, opened, page, show, shows, post, haveEnded } = await openApp(t, setting);
    await post('v1/samples', { name: 'temperature', labels: { site: 'oslo' }, value: 20 });
    const tokens = [];
    page.on('request', async (request) => {
      if (request.url().includes('/v1/events?') && request.method() === 'GET') tokens.push(request.headers().authorization);
    });
    const parts = [{ part: 'state' }, { part: 'client' }];
    const isLive = () => shows('state', { status: 'live', values: [['{site="oslo"}', 20]] });
    const client = () => page.evaluateHandle(() => globalThis.record.client);
    const isSame = async (one, other) => page.evaluate(([one, other]) => one === other, [await one, await other]);
    await show(parts, { token: 'one' });
    await isLive();
    const first = await client();
    await show(parts, { token: 'one' });
    assert.ok(await isSame(first, client()));
    await show(parts, { token: 'two' });
    await page.waitForFunction((first) => globalThis.record.client !== first, first);
    await isLive();
    await show(parts, { token: { inFunction: 'three' } });
    const third = await client();
    await isLive();
    await show(parts, { token: { inFunction: 'four' } });
    await isLive();
    assert.ok(await isSame(third, client()));
    assert.deepEqual(tokens, ['one', 'two', 'three'].map((token) => `Bearer ${token}`));
    // The newest function is asked by what is opened later.
    await show([...parts, { part: 'alerts' }], { token: { inFunction: 'five' } });
    await shows('alerts', { status: 'live', names: [] });
    await show(parts, { provider: { url: `${server.url}/` }, token: undefined });
    await page.waitForFunction((third) => globalThis.record.client !== third, third);
    await isLive();
    assert.equal(tokens.at(-1), undefined);
    // Who logs in and out has a function, or none.
    const ofNobody = await client();
    await show(parts, { token: { inFunction: 'six' } });
    await page.waitForFunction((before) => globalThis.record.client !== before, ofNobody);
    await isLive();
    assert.equal(tokens.at(-1), 'Bearer six');
    const ofSomebody = await client();
    await show(parts, { token: undefined });
    await page.waitForFunction((before) => globalThis.record.client !== before, ofSomebody);
    await isLive();
    assert.equal(tokens.at(-1), undefined);
    assert.equal(opened.length, tokens.length);
    await haveEnded(1);
    assert.deepEqual(faults, []);
  });
}
