// That a gate which is shut passes nothing on, either way, and all of it once it is open again.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { eventually } from '../bellwire.mjs';
import { Gate } from './gate.mjs';

test('what is said while a gate is shut arrives when it is open again', async (t) => {
  const closings = [];
  const atEnd = (close) => closings.push(close);
  t.after(async () => {
    for (const close of closings.reverse()) await close();
  });
  /** What the engine has heard; it answers each piece with its end. */
  const heard = [];
  const engine = createServer((socket) => socket.on('error', () => {}).on('data', (data) => {
    heard.push(`${data}`);
    socket.write(`${data}!`);
  }));
  engine.listen(0, '127.0.0.1');
  await once(engine, 'listening');
  atEnd(() => engine.close());
  const gates = [0, 1].map(() => new Gate(() => engine.address().port));
  const nodes = [];
  for (const gate of gates) {
    const socket = connect(await gate.start(atEnd), '127.0.0.1');
    const node = { socket, answers: '' };
    socket.on('data', (data) => (node.answers += data));
    atEnd(() => socket.destroy());
    nodes.push(node);
  }
  const [parted, other] = nodes;
  parted.socket.write('one');
  await eventually('an answer', () => parted.answers === 'one!');
  gates[0].shut();
  parted.socket.write('two');
  // Much comes and goes beside it.
  for (let times = 1; times <= 20; times += 1) {
    other.socket.write('x');
    await eventually('an answer beside it', () => other.answers.length === 2 * times);
  }
  assert.ok(!heard.includes('two'));
  assert.equal(parted.answers, 'one!');
  gates[0].open();
  await eventually('the other answer', () => parted.answers === 'one!two!');
});
