// The README's tour: what is to be typed there does what is said there, from the first to the last.

import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { eventually, provesWithRules } from './bellwire.mjs';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** Where the README's server listens. */
const HOST = 'localhost:8080';

/** A cursor of the README's own server. */
const EXAMPLE_CURSOR = /e\d{9}-1/;

/** What each command of the tour shows, in its order. One that streams goes on to the end. */
const SHOWN = [
  /^event: ready$/m,
  /^{"cursor":"e\d+-1"}/,
  /^event: ready$/m,
  /^event: gap\ndata: {"control":"gap","from":"e1-1","to":".*","reason":"epoch"[^]*^event: ready$/m,
  /^event: ready$/m,
  /^{"accepted":1}/,
  /^{"fingerprint":.*"acknowledged":{"by":"ada"/,
  /^{"events":\[{"topic":"chat\/general",/,
  /^{"events":\[{"topic":"chat\/general",/,
  /^data: {"topic":"query\/[^]*^event: ready$/m,
  /^event: history\ndata: {"topic":"samples\/boiler_temperature_celsius",[^]*^event: ready$/m,
  /^{"cursor":"e\d+-\d+","end":"e\d+-\d+"}/,
];

/** The command behind which the alert has to fire before the tour goes on. */
const BEFORE_ALERT = 5;

const NAME = 'the tour of the README shows what it says';
const RULES = README.match(/^```yaml\n(groups:\n[^]*?)^```$/m)[1];
const COMMANDS = README.match(/^(\$ )?curl .*$/gm)
  .map((line) => line.replace(/^\$ /, ''))
  .filter((command) => !command.includes('https://'));

if (spawnSync('curl', ['--version']).error) {
  console.error(`SKIPPED: there is no curl on this machine: ${NAME}`);
  test(NAME, { skip: 'there is no curl' }, () => {});
} else {
  provesWithRules(NAME, RULES, takesTour);
}

async function takesTour(server, atEnd) {
  assert.equal(COMMANDS.length, SHOWN.length, `of these each has something to show: ${COMMANDS}`);
  const host = new URL(server.url).host;
  const outputs = [];
  for (const [index, line] of COMMANDS.entries()) {
    assert.ok(line.includes(HOST), line);
    const cursor = outputs[1]?.().match(/e\d+-1/)[0];
    const command = line.replace(HOST, host).replace(EXAMPLE_CURSOR, cursor);
    const output = command.includes(' -N ') ? follow(command, atEnd) : await answer(command);
    outputs.push(output);
    await eventually(`${SHOWN[index]} of ${command}`, () => SHOWN[index].test(output()));
    if (index === BEFORE_ALERT) {
      await eventually('the alert on the board', async () => {
        const board = await (await fetch(`${server.url}/v1/alerts`)).json();
        return board.alerts.some(({ state }) => state === 'firing');
      });
    }
  }
  const transitions = outputs[BEFORE_ALERT - 1];
  await eventually('the alert', () => transitions().includes('event: alert.firing\n'));
  assert.match(outputs[0](), /^data: {"topic":"chat\/general",.*"data":{"text":"hello"}}$/m);
  assert.doesNotMatch(outputs[2](), /hello/, 'only what is new comes');
}

/** Starts a command; gives what tells its output so far. */
function follow(command, atEnd) {
  const child = spawn('sh', ['-c', `exec ${command} -sS`], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  atEnd(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => { output += text; });
  return () => output;
}

/** Runs a command to its end. */
async function answer(command) {
  const { stdout } = await promisify(execFile)('sh', ['-c', `${command} -sS`]);
  return () => stdout;
}
