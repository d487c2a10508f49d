// A place is what a client takes for a server: an address of its own, where plays are performed and
// what is asked is remembered.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { pollAnswer } from './frames.mjs';
import { Answer, perform, send } from './play.mjs';
import { FrameReader } from './websocket.mjs';

/** What a play may say; another member is a mistake. */
const PLAY_MEMBERS = new Set([
  'for', 'times', 'delay_ms', 'refuse', 'silent', 'status', 'headers', 'body', 'stream', 'framing', 'gzip',
  'chunk_bytes', 'upstream', 'replies', 'more',
]);
const KINDS = new Set(['follow', 'sse', 'ndjson', 'poll', 'websocket', 'send', 'renewal', 'other', 'any']);
const FOLLOWS = new Set(['sse', 'ndjson', 'poll', 'websocket']);

/** How often the default stream gives a sign, and how often it says that it does. */
const SIGN_MS = 5_000;
const HEARTBEAT_MS = 25_000;

/** What a request may bring, and how many are remembered. */
const BODY_BYTES_MAX = 16 * 1024 * 1024;
const REQUESTS_MAX = 10_000;
const REMEMBERED_BYTES_MAX = 64 * 1024 * 1024;

/** The cursor that a stream begins at which asks for none. */
export const BEGIN = 'e1-0';

/** Throws a `TypeError` that says what is wrong with a play. */
export function checkPlay(play) {
  if (typeof play !== 'object' || !play) throw new TypeError('a play is an object');
  for (const name of Object.keys(play)) {
    if (!PLAY_MEMBERS.has(name)) throw new TypeError(`a play has no member \`${name}\`, but ${[...PLAY_MEMBERS].join(', ')}`);
  }
  if (play.for !== undefined && !KINDS.has(play.for)) throw new TypeError(`\`for\` is one of ${[...KINDS].join(', ')}`);
}

export class Place {
  /** What was asked, oldest first. */
  requests = [];
  /** How many connections there were. */
  connections = 0;
  #plays = [];
  #bytes = 0;
  #open = new Set();
  #sockets = new Set();

  /** Opens one. `port`: 0 is any that is free; `upstream`: the server that plays with `upstream` pass on to. */
  static async open({ plays = [], upstream = null, port = 0 } = {}) {
    const place = new Place();
    place.upstream = upstream;
    place.add(plays);
    await place.listen(port);
    return place;
  }

  async listen(port = this.port ?? 0) {
    const server = (this.server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 }));
    server.on('connection', (socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.setNoDelay(true).on('error', () => {}).on('close', () => this.#sockets.delete(socket));
    });
    // Whose request cannot be read is cut off, and disturbs nobody else.
    const answer = (request, socket) => this.#answer(request, socket).catch(() => socket.destroy());
    server.on('request', (request) => void answer(request, request.socket));
    server.on('upgrade', (request, socket) => void answer(request, socket));
    server.on('clientError', (_, socket) => socket.destroy());
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    this.port = server.address().port;
    this.url = `http://127.0.0.1:${this.port}/`;
  }

  /** More plays, behind those that there are. */
  add(plays) {
    plays.forEach(checkPlay);
    this.#plays.push(...plays.map((play) => ({ times: 1, ...play })));
  }

  /** What was asked of one kind; `follow` is all that follows. */
  asked(kind = 'follow') {
    return this.requests.filter((request) => belongs(request.kind, kind));
  }

  /** Items for all streams that are open. */
  async push(...items) {
    await Promise.all([...this.#open].map((answer) => send(answer, items)));
  }

  /** Nobody listens any more; `listen` opens it again. */
  async close() {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #answer(request, socket) {
    const record = recordOf(request);
    socket.on('close', () => { record.ended_at ??= Date.now(); });
    const body = await bodyOf(request);
    if (body === null) return socket.destroy();
    record.body = body.toString();
    // Who asks what was asked is told of all of it: a body may come behind its head.
    this.#remember(record);
    const play = this.#next(record);
    const answer = new Answer(socket, record, play);
    this.#open.add(answer);
    socket.on('close', () => this.#open.delete(answer));
    if (record.kind === 'websocket' && !play.upstream) this.#listenTo(answer);
    try {
      await perform(answer, this.upstream, body);
    } catch {
      // One side is gone: so is the other.
      socket.destroy();
    }
    if (play.isDefault && FOLLOWS.has(record.kind)) await goOn(answer);
  }

  /** The oldest are forgotten where there are too many, or too much of them. */
  #remember(record) {
    this.requests.push(record);
    this.#bytes += record.body.length;
    while (this.requests.length > REQUESTS_MAX || this.#bytes > REMEMBERED_BYTES_MAX) {
      this.#bytes -= this.requests.shift().body.length;
    }
  }

  #next(record) {
    const index = this.#plays.findIndex((play) => belongs(record.kind, play.for ?? 'follow'));
    if (index < 0) return { ...defaultPlay(record, this.upstream), isDefault: true };
    const play = this.#plays[index];
    if (play.times !== 'always' && (play.times -= 1) <= 0) this.#plays.splice(index, 1);
    return play;
  }

  /** Remembers what the client says; requests get a reply, unless the play has none. */
  #listenTo(answer) {
    const { record, socket, play } = answer;
    record.messages = [];
    const reader = new FrameReader((heard) => {
      record.messages.push(heard);
      if (heard.close !== undefined) return socket.end();
      if (heard.text === undefined || play.replies === false) return;
      const id = idOf(heard.text);
      if (id !== undefined) void send(answer, [JSON.stringify({ reply: id })]);
    });
    let left = BODY_BYTES_MAX;
    socket.on('data', (bytes) => {
      left -= bytes.length;
      if (left < 0) socket.destroy();
      else reader.push(bytes);
    });
  }
}

/** Of a request of a WebSocket; what is none has no id. */
function idOf(text) {
  try {
    return JSON.parse(text)?.id;
  } catch {
    return undefined;
  }
}

function belongs(kind, to) {
  return to === 'any' || to === kind || (to === 'follow' && FOLLOWS.has(kind));
}

function recordOf(request) {
  const { method, url, headers } = request;
  // A path may begin with two slashes, which is no other host.
  const { pathname, searchParams } = new URL(url.startsWith('/') ? `http://place${url}` : url);
  const query = {};
  for (const [name, value] of searchParams) (query[name] ??= []).push(value);
  const protocols = headers['sec-websocket-protocol'] ?? '';
  const token = /^Bearer (.*)$/.exec(headers.authorization ?? '')?.[1]
    ?? /bellwire\.bearer\.([^,\s]+)/.exec(protocols)?.[1] ?? null;
  return {
    at: Date.now(), ended_at: null, kind: kindOf(request, pathname), method, url, path: pathname, query, headers,
    /** Where it begins, as Bellwire reads it: the header wins. */
    cursor: headers['last-event-id'] ?? query.after?.at(-1) ?? null,
    token, body: '', bytes_sent: 0, stalled_since: null,
  };
}

function kindOf({ method, headers }, pathname) {
  if (pathname.endsWith('/v1/session/token')) return 'renewal';
  if (method !== 'GET') return 'send';
  if (!pathname.endsWith('/v1/events')) return 'other';
  if (headers.upgrade?.toLowerCase() === 'websocket') return 'websocket';
  const accept = headers.accept ?? '';
  if (accept.includes('application/x-ndjson')) return 'ndjson';
  return accept.includes('application/json') ? 'poll' : 'sse';
}

async function bodyOf(request) {
  const pieces = [];
  let length = 0;
  try {
    for await (const piece of request) {
      length += piece.length;
      if (length > BODY_BYTES_MAX) return null;
      pieces.push(piece);
    }
  } catch {
    return null;
  }
  return Buffer.concat(pieces);
}

/** What is answered where no play says otherwise: all is well, and nothing happens. */
function defaultPlay({ kind, cursor, path, query }, upstream) {
  if (upstream) return { upstream: {} };
  if (kind === 'renewal') return { body: {} };
  if (kind === 'send' && path.endsWith('/v1/samples')) return { body: { accepted: 1 } };
  if (kind === 'send') return { status: 201, body: { cursor: 'e1-1' } };
  if (kind === 'other') return { status: 404, body: { code: 'not_found', status: 404, title: '', type: 'about:blank' } };
  if (kind === 'poll') return query.wait === undefined ? { body: pollAnswer([], cursor) } : { silent: true };
  const at = cursor === null || cursor === 'earliest' || cursor === 'latest' ? BEGIN : cursor;
  return { stream: [{ control: { control: 'ready', cursor: at, heartbeat_interval_ms: HEARTBEAT_MS } }] };
}

/** The default stream gives a sign, and the default poll ends without any. */
async function goOn(answer) {
  const { kind, query, cursor } = answer.record;
  if (kind === 'poll') {
    await setTimeout(Number.parseFloat(query.wait?.[0] ?? '0') * 1_000, undefined, { ref: false });
    if (!answer.isOver) await send(answer, [{ control: { control: 'heartbeat', cursor: cursor ?? BEGIN } }]);
    return;
  }
  while (!answer.isOver) {
    await setTimeout(SIGN_MS, undefined, { ref: false });
    if (kind === 'sse') await send(answer, [':\n\n']);
    else if (kind === 'ndjson') await send(answer, ['\n']);
    else if (kind === 'websocket') await send(answer, [{ ping: true }]);
  }
}
