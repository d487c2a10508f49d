// One play: the answer to one request, byte by byte as it is told.

import { connect } from 'node:net';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { constants, createGzip } from 'node:zlib';
import { bytesOf, partOf, pollAnswer } from './frames.mjs';
import { closeFrame, pingFrame, textFrames, upgradeHead } from './websocket.mjs';

const STREAM_TYPES = { sse: 'text/event-stream', ndjson: 'application/x-ndjson' };

/** What is sent on one connection. `record` is what is remembered of its request. */
export class Answer {
  #isChunked = false;
  #gzip = null;
  #hasEnded = false;

  constructor(socket, record, play) {
    this.socket = socket;
    this.record = record;
    this.play = play;
  }

  get isOver() {
    return this.#hasEnded || this.socket.destroyed || this.socket.writableEnded;
  }

  head(status, headers, framing = 'length') {
    this.#isChunked = framing === 'chunked';
    const version = framing === 'http/1.0' ? '1.0' : '1.1';
    // Who is told that the connection closes may take an answer that is cut off for a whole one.
    const isCut = this.#isChunked || framing === 'cut';
    const all = { ...headers, ...(!isCut && { Connection: 'close' }), ...(this.#isChunked && { 'Transfer-Encoding': 'chunked' }) };
    const lines = Object.entries(all).flatMap(([name, value]) => [value].flat().map((value) => `${name}: ${value}\r\n`));
    return this.raw(Buffer.from(`HTTP/${version} ${status} ${status < 400 ? 'OK' : 'No'}\r\n${lines.join('')}\r\n`));
  }

  /** From here on all that is written is compressed, each piece so that it can be read when it comes. */
  compress() {
    this.#gzip = createGzip();
  }

  /** A piece of the body. */
  async body(bytes) {
    const { chunk_bytes: pieceBytes = bytes.length } = this.play;
    for (let at = 0; at < bytes.length && !this.isOver; at += pieceBytes) {
      const piece = await this.#compressed(bytes.subarray(at, at + pieceBytes));
      const head = this.#isChunked ? `${piece.length.toString(16)}\r\n` : '';
      const end = this.#isChunked ? '\r\n' : '';
      await this.raw(Buffer.concat([Buffer.from(head), piece, Buffer.from(end)]));
      // Each piece is a packet of its own, as far as that can be had.
      if (pieceBytes < bytes.length) await setTimeout(1);
    }
  }

  /** Bytes on the connection; waits while the client takes none. */
  async raw(bytes) {
    if (this.isOver) return;
    this.record.bytes_sent += bytes.length;
    if (this.socket.write(bytes)) return;
    this.record.stalled_since = Date.now();
    await new Promise((resolve) => {
      const done = () => {
        this.socket.off('drain', done).off('close', done);
        resolve();
      };
      this.socket.on('drain', done).on('close', done);
    });
    this.record.stalled_since = null;
  }

  async cut(how) {
    if (how === 'reset') return void this.socket.resetAndDestroy();
    if (how === 'end' && this.record.kind === 'websocket') await this.raw(closeFrame(1001));
    if (how === 'end' && this.#isChunked) {
      await this.raw(Buffer.from('0\r\n\r\n'));
      // The connection is good for another request, as with any server.
      this.#hasEnded = true;
      this.record.ended_at = Date.now();
      return;
    }
    this.socket.end();
    // Who does not close in turn is cut off.
    await setTimeout(200, undefined, { ref: false });
    this.socket.destroy();
  }

  #compressed(bytes) {
    const gzip = this.#gzip;
    if (!gzip) return bytes;
    return new Promise((resolve) => {
      const pieces = [];
      const take = (piece) => pieces.push(piece);
      gzip.on('data', take);
      gzip.write(bytes);
      gzip.flush(constants.Z_SYNC_FLUSH, () => {
        gzip.off('data', take);
        resolve(Buffer.concat(pieces));
      });
    });
  }
}

/** Plays the answer to a request. Resolves when all of it is sent; a stream stays open then. */
export async function perform(answer, upstream, requestBody) {
  const { play, record, socket } = answer;
  if (play.refuse) return answer.cut(play.refuse);
  if (play.delay_ms) await setTimeout(play.delay_ms);
  if (answer.isOver || play.silent) return;
  if (play.upstream) return passOn(answer, upstream, requestBody);
  if (play.body !== undefined || !play.stream) return respond(answer, play.status ?? 200, play.body ?? '');
  if (record.kind === 'poll') return respondToPoll(answer);
  if (record.kind === 'websocket') await answer.raw(Buffer.from(upgradeHead(record.headers)));
  else await beginStream(answer);
  await send(answer, play.stream);
}

async function respond(answer, status, body) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const type = typeof body === 'string' ? {} : { 'Content-Type': status < 400 ? 'application/json' : 'application/problem+json' };
  const length = status === 204 ? {} : { 'Content-Length': Buffer.byteLength(text) };
  await answer.head(status, { ...type, ...length, ...answer.play.headers });
  await answer.raw(Buffer.from(text));
  answer.socket.end();
}

async function beginStream(answer) {
  const { play, record } = answer;
  const isCompressed = play.gzip && /\bgzip\b/.test(record.headers['accept-encoding'] ?? '');
  const headers = {
    'Content-Type': STREAM_TYPES[record.kind] ?? STREAM_TYPES.sse, 'Cache-Control': 'no-store',
    ...(isCompressed && { 'Content-Encoding': 'gzip' }), ...play.headers,
  };
  await answer.head(play.status ?? 200, headers, play.framing ?? 'chunked');
  if (isCompressed) answer.compress();
}

/** What comes until there is something to wait for, or a cut, is one answer. */
async function respondToPoll(answer) {
  const { record, play } = answer;
  const items = [];
  for (const item of play.stream) {
    if (item.cut !== undefined) {
      const text = JSON.stringify(pollAnswer(items, record.cursor, play.more));
      await answer.head(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }, 'cut');
      await answer.raw(Buffer.from(text).subarray(0, -5));
      return answer.cut(item.cut);
    }
    if (item.wait_ms !== undefined) await setTimeout(item.wait_ms);
    else items.push(item);
  }
  // Who has not asked to wait is answered at once, be it with nothing.
  if (record.query.wait?.[0] === undefined || items.some((item) => item.event ?? item.control)) {
    return respond(answer, 200, pollAnswer(items, record.cursor, play.more));
  }
}

/** Sends items, on a connection that is open. */
export async function send(answer, items) {
  const { kind } = answer.record;
  for await (const item of items) {
    if (answer.isOver) return;
    if (item.wait_ms !== undefined) await setTimeout(item.wait_ms);
    else if (item.cut !== undefined) return answer.cut(item.cut);
    else if (item.ping) await answer.raw(pingFrame());
    else if (item.bare !== undefined) await answer.raw(Buffer.from(item.bare, 'hex'));
    else if (item.close !== undefined) {
      await answer.raw(closeFrame(item.close));
      return answer.cut('break');
    } else if (kind === 'websocket') await answer.raw(framesOf(item, answer.play));
    else if (kind === 'poll') return respond(answer, 200, pollAnswer([item], answer.record.cursor, answer.play.more));
    else await answer.body(bytesOf(item, kind));
    // Others have their turn, also where a client takes all at once.
    await setImmediate();
  }
}

function framesOf(item, play) {
  if (item.hex !== undefined) return Buffer.from(item.hex, 'hex');
  if (item.part !== undefined) return partOf(textFrames(message(item.part)), item.bytes);
  return textFrames(message(item), play.chunk_bytes);
}

const message = (item) => Buffer.from(typeof item === 'string' ? item : JSON.stringify(item.event ?? item.control));

/** As in `head`: the connection to the server is asked to close, that to the client is not told to. */
function withoutClose(head) {
  return Buffer.from(head.toString('latin1').replace(/\r\nconnection: close(?=\r\n)/i, ''), 'latin1');
}

/** Passes the request on to a server that is none of faults, and its answer back, with faults. */
async function passOn(answer, upstream, requestBody) {
  const { record, socket, play } = answer;
  const { cut_after_bytes: cutAt = Infinity, cut = 'reset', mute_after_bytes: muteAt = Infinity } = play.upstream;
  const { hostname, port } = new URL(upstream);
  const far = connect(Number(port || 80), hostname);
  const isUpgrade = record.kind === 'websocket';
  const headers = { ...record.headers, connection: isUpgrade ? 'Upgrade' : 'close', host: `${hostname}:${port || 80}` };
  delete headers['transfer-encoding'];
  if (!isUpgrade && record.method !== 'GET') headers['content-length'] = requestBody.length;
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  far.write(`${record.method} ${record.url.slice(record.url.indexOf('/v1/'))} HTTP/1.1\r\n${lines}\r\n`);
  far.write(requestBody);
  far.on('error', () => socket.resetAndDestroy());
  socket.on('close', () => far.destroy());
  if (isUpgrade) socket.on('data', (bytes) => far.write(bytes));
  let sent = 0;
  for await (const piece of far) {
    const bytes = sent === 0 ? withoutClose(piece) : piece;
    const left = bytes.subarray(0, Math.max(0, Math.min(cutAt, muteAt) - sent));
    sent += bytes.length;
    await answer.raw(left);
    if (sent >= cutAt) {
      far.destroy();
      return answer.cut(cut);
    }
    if (answer.isOver) return;
  }
  socket.end();
}
