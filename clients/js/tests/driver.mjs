// The driver of this client for the suite of `clients/conformance`, which says what it speaks.

import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { BellwireError, Client, longPoll, moving, sse, webSocket } from '../dist/index.js';

const CAPABILITIES = [
  'sse', 'websocket', 'poll', 'moving', 'state', 'queries', 'tokens', 'renew', 'store', 'pause', 'publish', 'samples',
];
const TRANSPORTS = {
  sse: () => sse,
  websocket: () => webSocket({ WebSocket }),
  poll: () => longPoll(),
  moving: () => moving([sse, webSocket({ WebSocket }), longPoll()]),
};

const tell = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);

const clients = new Map();
const stores = new Map();
const follows = new Map();

function clientOf({ url, transport, token, tokens, client }) {
  if (clients.has(client)) return clients.get(client);
  const made = new Client(url, { transport: TRANSPORTS[transport]?.(), token: tokens ? giving(tokens) : token });
  if (client !== undefined) clients.set(client, made);
  return made;
}

/** A function that gives one after the other. */
function giving(tokens) {
  const left = [...tokens];
  return () => {
    const token = left.length > 1 ? left.shift() : left[0];
    if (token === null) throw new Error('there is no token at the moment');
    return token;
  };
}

function storeOf(name) {
  return { get: () => stores.get(name), set: (cursor) => stores.set(name, cursor) };
}

function errorOf(error) {
  if (!(error instanceof BellwireError)) return { code: 'argument_invalid', message: `${error}` };
  const { code, status, message, retryAfterMs, mayBeTaken, idempotencyKey } = error;
  return { code, status, message, retry_after_ms: retryAfterMs, may_be_taken: mayBeTaken, idempotency_key: idempotencyKey };
}

/** Tells of a subscription in the order in which it gives things; statuses come when they change. */
async function follow(command) {
  const { id, filters = [], after, queries, state, store } = command;
  const options = { after, queries, state, controls: true, store: store === undefined ? undefined : storeOf(store) };
  const subscription = clientOf(command).subscribe(filters, options);
  const gate = { isOpen: Promise.resolve(), open: () => {} };
  follows.set(id, { subscription, gate });
  subscription.addEventListener('status', ({ detail: { status, error, retryInMs } }) => {
    if (status !== 'closed') tell({ id, tell: 'status', status, error: error && errorOf(error), retry_in_ms: retryInMs });
  });
  subscription.addEventListener('move', ({ detail }) => tell({ id, tell: 'move', ...detail }));
  let error = null;
  try {
    for await (const item of subscription) {
      tell('control' in item ? { id, tell: 'control', control: item } : { id, tell: 'event', event: item });
      await gate.isOpen;
    }
  } catch (fault) {
    error = errorOf(fault);
  }
  follows.delete(id);
  tell({ id, tell: 'closed', error });
}

async function answer(id, sent) {
  try {
    tell({ id, tell: 'answer', answer: await sent });
  } catch (error) {
    tell({ id, tell: 'error', error: errorOf(error) });
  }
}

const COMMANDS = {
  follow,
  close: ({ id }) => follows.get(id)?.subscription.close(),
  pause({ id }) {
    const gate = follows.get(id)?.gate;
    if (gate) gate.isOpen = new Promise((resolve) => { gate.open = resolve; });
  },
  resume: ({ id }) => follows.get(id)?.gate.open(),
  publish(command) {
    const { id, topic, data, key, type, idempotency_key: idempotencyKey, timeout_ms: timeoutMs } = command;
    return answer(id, clientOf(command).publish(topic, data, { key, type, idempotencyKey, timeoutMs }));
  },
  samples(command) {
    const { id, samples, timeout_ms: timeoutMs } = command;
    return answer(id, clientOf(command).samples(samples, { timeoutMs }));
  },
  exit: () => process.exit(0),
};

tell({ tell: 'hello', name: '@bellwire/client', capabilities: CAPABILITIES });
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    const { id } = command;
    // Wrong arguments are thrown at once.
    void (async () => COMMANDS[command.do]?.(command))().catch((error) => tell({ id, tell: 'error', error: errorOf(error) }));
  })
  .on('close', () => process.exit(0));
