// The package as others meet it: imported, required, type-checked, and its README typed in.

import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { openPages } from '../../../tests/browser/example.mjs';
import { PATIENCE_MS } from '../../../tests/browser/setting.mjs';
import { examplesOf, folderOf, typeCheck } from '../../js/tests/package.mjs';
import { bundle, ROOT } from './bundle.mjs';

const EXAMPLES = examplesOf(ROOT, 'tsx');

/** Where the README's server listens. */
const HOST = 'http://localhost:8080';

const JSON_TYPE = { 'content-type': 'application/json' };

/** What each example shows, in the order of the README, and what is done with it. */
const USES = [
  async ({ page }) => {
    await page.getByText('live', { exact: true }).waitFor();
    await page.getByLabel('Text').fill('hello');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByRole('listitem').getByText('hello', { exact: true }).waitFor();
  },
  async ({ page, post }) => {
    await page.getByText('alerts: 0, series: 0').waitFor();
    await post('v1/samples', { name: 'temperature', labels: { site: 'bergen' }, value: 20 });
    await page.getByText('alerts: 0, series: 1').waitFor();
  },
  async ({ page, post }) => {
    await page.getByText('All is well.').waitFor();
    await post('api/v2/alerts', [{ labels: { alertname: 'BoilerHot', severity: 'critical' } }]);
    await page.getByText('BoilerHot is firing').waitFor();
    await page.getByRole('button', { name: 'I am on it' }).click();
    await page.getByText('BoilerHot is acknowledged').waitFor();
  },
  async ({ page, post }) => {
    await page.getByText('0 too hot').waitFor();
    await post('v1/samples', { name: 'temperature', labels: { site: 'oslo' }, value: 93.5 });
    await page.getByRole('listitem').getByText('{site="oslo"}: 93.5').waitFor();
    await page.getByText('1 too hot').waitFor();
  },
  ({ page }) => page.getByText('Here: Ada', { exact: true }).waitFor(),
  async ({ page, post }) => {
    while (await page.title() !== '(2) Chat') await post('v1/topics/chat/general', { text: 'hello' });
  },
];

test('it is the same imported and required, and brings nothing of others', async () => {
  const imported = await import('@bellwire/react');
  const required = createRequire(import.meta.url)('@bellwire/react');
  assert.deepEqual(Object.keys(required).sort(), Object.keys(imported).sort());
  const { dependencies, license, peerDependencies } = JSON.parse(readFileSync(`${ROOT}package.json`));
  assert.deepEqual([dependencies, license], [undefined, 'Apache-2.0']);
  assert.deepEqual(Object.keys(peerDependencies), ['@bellwire/client', 'react']);
  for (const name of ['index.js', 'index.cjs']) assert.match(readFileSync(`${ROOT}dist/${name}`, 'utf8'), /^'use client';/);
});

test('its types are those of a module and of a script, and say what is wrong', async () => {
  const folder = folderOf(ROOT, 'type-check');
  const head = "import { useEvents, useQuery, useTopicState } from '@bellwire/react';\n";
  const right = `${head}export function useAll() {
    const { events, gap } = useEvents<{ text: string }>(['a'], { limit: 5 });
    const text: string | undefined = events[0]?.data?.text;
    const reason: 'expired' | 'epoch' | undefined = gap?.reason;
    const nothing: void = useEvents<number>('a', ({ data }) => { const count: number | undefined = data; void count; });
    const value: number | undefined = useTopicState<number>(null).values.get('k');
    const site: string | undefined = useQuery('up').values.get('k')?.labels['site'];
    return [text, reason, nothing, value, site];
  }`;
  const wrong = `${head}export function useAll() {
    useEvents('a', { limit: 'many' });
    useTopicState(['a']);
    useQuery('up').values.set('k', 1);
  }`;
  const complaints = await typeCheck(folder, { 'right.mts': right, 'right.cts': right, 'wrong.mts': wrong });
  assert.deepEqual(complaints.map((line) => line.replace(/\(.*/, '')), Array(3).fill(complaints[0]?.replace(/\(.*/, '')), complaints.join('\n'));
  assert.match(complaints[0], /wrong\.mts/);
  rmSync(folder, { recursive: true });
});

test('what the README shows does what it says', { timeout: 5 * PATIENCE_MS }, async (t) => {
  assert.equal(EXAMPLES.length, USES.length);
  const folder = folderOf(ROOT, 'readme');
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const typed = Object.fromEntries(EXAMPLES.map((code, index) => [`${index}.tsx`, code]));
  assert.deepEqual(await typeCheck(folder, typed, { module: 'ESNext', moduleResolution: 'Bundler', jsx: 'react-jsx' }), []);

  const scripts = new Map();
  const find = (path) => (path.endsWith('.js')
    ? { type: 'text/javascript', text: scripts.get(path) }
    : { type: 'text/html', text: `<!doctype html><title>example</title><div id="root"></div><script src="${path}.js"></script>` });
  const { server, page, origin, faults } = await openPages(t, find, ['--presence', 'rooms/**']);
  const post = async (path, body) => {
    const response = await fetch(`${server.url}/${path}`, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) });
    assert.ok(response.ok, await response.text());
  };
  for (const [index, code] of EXAMPLES.entries()) {
    scripts.set(`/${index}.js`, await bundle(rendered(code).replaceAll(HOST, server.url), { folder }));
    await page.goto(`${origin}/${index}`);
    await USES[index]({ page, post });
  }
  assert.deepEqual(faults, []);
});

/** An example that renders what it exports, where it does not do so by itself. */
function rendered(code) {
  const name = code.match(/^export function (\w+)/m)?.[1];
  if (!name) return code;
  return `${code}
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { BellwireProvider } from '@bellwire/react';
createRoot(document.getElementById('root')).render(
  <StrictMode><BellwireProvider url="${HOST}"><${name} /></BellwireProvider></StrictMode>,
);`;
}
