#!/usr/bin/env node
// The server that plays faults, by hand: `node server.mjs [--port N] [--upstream URL]`. README.md says
// how it is commanded.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { Place } from './faults/place.mjs';

/** What a command may bring, in bytes, and how many places there may be. */
const BODY_BYTES_MAX = 16 * 1024 * 1024;
const PLACES_MAX = 1_000;

/** What a command has wrong. */
class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class FaultServer {
  #places = new Map();
  #ids = 0;

  /** Starts it; `url` is where it is commanded. */
  static async start({ port = 0, upstream = null } = {}) {
    const faults = new FaultServer();
    faults.upstream = upstream;
    faults.server = createServer((request, response) => void faults.#respond(request, response));
    faults.server.listen(port, '127.0.0.1');
    await once(faults.server, 'listening');
    faults.url = `http://127.0.0.1:${faults.server.address().port}/`;
    return faults;
  }

  async close() {
    await Promise.all([...this.#places.values()].map((place) => place.close()));
    this.server.close();
    this.server.closeAllConnections();
  }

  async #respond(request, response) {
    const { status, body } = await this.#command(request).catch(({ status = 400, message }) => ({ status, body: { detail: message } }));
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(body === undefined ? undefined : `${JSON.stringify(body)}\n`);
  }

  async #command(request) {
    const { method, url } = request;
    const [, kind, id, part] = new URL(url, this.url).pathname.split('/');
    if (kind !== 'places') throw new Refusal(404, 'there are /places, /places/ID, /places/ID/plays and /places/ID/push');
    const what = `${method} ${part ?? (id ? 'one' : 'all')}`;
    if (what === 'POST all') return this.#open(await bodyOf(request));
    if (what === 'GET all') return { status: 200, body: [...this.#places].map(([id, { url }]) => ({ id, url })) };
    const place = this.#places.get(id);
    if (!place) throw new Refusal(404, `there is no place ${id}`);
    switch (what) {
      case 'GET one':
        return { status: 200, body: { id, url: place.url, connections: place.connections, requests: place.requests } };
      case 'DELETE one':
        this.#places.delete(id);
        await place.close();
        return { status: 204 };
      case 'POST plays':
        place.add(listOf(await bodyOf(request)));
        return { status: 204 };
      case 'POST push':
        await place.push(...listOf(await bodyOf(request)));
        return { status: 204 };
      default:
        throw new Refusal(405, `${method} does nothing here`);
    }
  }

  async #open(asked) {
    if (this.#places.size >= PLACES_MAX) throw new Refusal(429, `there are ${PLACES_MAX} places: delete some`);
    const { plays = [], upstream = this.upstream, port = 0 } = asked ?? {};
    const place = await Place.open({ plays: listOf(plays), upstream, port });
    const id = `${(this.#ids += 1)}`;
    this.#places.set(id, place);
    return { status: 201, body: { id, url: place.url } };
  }
}

function listOf(value) {
  if (!Array.isArray(value)) throw new Refusal(400, 'it takes a list');
  return value;
}

async function bodyOf(request) {
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > BODY_BYTES_MAX) throw new Refusal(413, `a command has at most ${BODY_BYTES_MAX} bytes`);
    pieces.push(piece);
  }
  const text = Buffer.concat(pieces).toString();
  return text ? JSON.parse(text) : null;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const { values } = parseArgs({ options: { port: { type: 'string' }, upstream: { type: 'string' } } });
  const { url } = await FaultServer.start({ port: Number(values.port ?? 0), upstream: values.upstream });
  console.log(`listening on ${url}`);
}
