// The package as others meet it: imported, required, type-checked, and its README typed in.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { eventually, proves } from '../../../tests/clients/bellwire.mjs';
import { examplesOf, folderOf, typeCheck } from './package.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const EXAMPLES = examplesOf(ROOT, 'js');

/** Where the README's server listens. */
const HOST = 'http://localhost:8080';

/** What each example prints, in the order of the README. */
const PRINTED = [
  /^chat\/general { text: 'hello' }$/m,
  /^status live\nlive from e\d+-\d+$[^]*^event { text: 'hello' }$/m,
  /^event { text: 'hello' }$/m,
  /^events are missing up to here: epoch$[^]*^event { text: 'hello' }$/m,
  /^{ text: 'hello' }\nkept e\d+-\d+$/m,
  /^({site="oslo"}|change {site="oslo"}) {[^]*value: 93.5/m,
  /^{site="oslo"} 93.5$/m,
  /^it is durable, at e\d+-\d+\n1 accepted$/m,
  /^shown already: true$/m,
  /^$/,
  /^live\nsse poll asked$/m,
  /^live, as in any other tab$/m,
];

test('it is the same imported and required', async () => {
  const imported = await import('@bellwire/client');
  const required = createRequire(import.meta.url)('@bellwire/client');
  assert.deepEqual(Object.keys(required).sort(), Object.keys(imported).sort());
  assert.equal(typeof new required.Client('http://bell').subscribe, 'function');
  const { dependencies, license, version } = JSON.parse(readFileSync(`${ROOT}package.json`));
  assert.deepEqual([dependencies, license], [undefined, 'Apache-2.0']);
  assert.match(version, /^\d+\.\d+\.\d+$/);
});

test('what is published is there, and found by whoever imports or requires it', async () => {
  const { messages } = await publint({ pkgDir: ROOT, pack: 'npm', strict: true });
  assert.deepEqual(messages, []);
});

const USES = `
const client = new Client('http://bell', { token: async () => 'x' });
interface Note { text: string }
async function uses() {
  for await (const event of client.subscribe<Note>('a')) { const text: string | undefined = event.data?.text; void text; }
  for await (const item of client.subscribe<Note>('a', { controls: true })) {
    if ('control' in item) { if (item.control === 'gap') { const reason: 'expired' | 'epoch' = item.reason; void reason; } }
    else { const text: string | undefined = item.data?.text; void text; }
  }
  const alerts = client.alerts();
  const severity: string | undefined = alerts.get('f')?.severity;
  alerts.addEventListener('change', ({ detail }) => { const key: string = detail.key; void key; });
  const { cursor } = await client.publish('a', 1);
  const text: string | undefined = cursor;
  try { await client.ready(); } catch (error) { if (error instanceof ProblemError) { const status: number = error.status; void status; } }
  void severity; void text;
}
void uses;
`;

test('its types are those of a module and of a script, and say what is wrong', async () => {
  const folder = folderOf(ROOT, 'type-check');
  const head = "import { Client, ProblemError } from '@bellwire/client';";
  const right = USES.replace('await client.ready();', 'await client.alerts().ready();');
  assert.deepEqual(await typeCheck(folder, { 'a.mts': head + right, 'b.cts': head + right }), []);
  const complaints = await typeCheck(folder, {
    'a.mts': head + USES,
    'b.cts': `${head}\nclient.subscribe('a', { controls: 'yes' });\nnew Client('a', { tokn: 1 });\nvoid ProblemError; declare const client: Client;`,
  });
  assert.equal(complaints.length, 3, complaints.join('\n'));
  rmSync(folder, { recursive: true });
});

proves('what the README shows does what it says', async (server, atEnd) => {
  assert.equal(EXAMPLES.length, PRINTED.length);
  const folder = folderOf(ROOT, 'readme');
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const typed = Object.fromEntries(EXAMPLES.map((code, index) => [`${index}.mjs`, code]));
  assert.deepEqual(await typeCheck(folder, typed), []);
  // The same words for each: those that follow wait for them.
  const said = [
    ['topics/chat/general', { text: 'hello' }],
    ['samples', { name: 'temperature', labels: { site: 'oslo' }, value: 93.5 }],
  ];
  for (const [index, code] of EXAMPLES.entries()) {
    const file = `${folder}/${index}.mjs`;
    writeFileSync(file, code.replaceAll(HOST, server.url));
    assert.ok(code.includes(HOST), code);
    const child = spawn('node', [file], { stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = once(child, 'exit');
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { output += text; });
    await eventually(`${PRINTED[index]} of example ${index}:\n${code}`, async () => {
      for (const [path, body] of said) {
        await fetch(`${server.url}/v1/${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
      }
      assert.doesNotMatch(output, /Error/, output);
      return PRINTED[index].test(output) && (output || child.exitCode === 0);
    });
    child.kill('SIGKILL');
    await ended;
  }
});
