// A push service of the test's own: what browsers' makers run, for one machine.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { once } from 'node:events';

/** Takes messages, as it is told to, and gives them to whoever waits. */
export class PushService {
  #server;
  #messages = [];
  #waiting = [];
  /** What it answers with from now on: a status, or a status and headers. */
  answer = { status: 201, headers: {} };

  static async start({ certificate, key }) {
    const service = new PushService();
    const files = { cert: readFileSync(certificate), key: readFileSync(key) };
    service.#server = createServer(files, (request, response) => service.#take(request, response));
    service.#server.listen(0, '127.0.0.1');
    await once(service.#server, 'listening');
    return service;
  }

  get origin() {
    return `https://localhost:${this.#server.address().port}`;
  }

  /** How many messages nobody has asked for. */
  get waiting() {
    return this.#messages.length;
  }

  /** The next message: its `path`, `headers` and `body`. */
  next() {
    const message = this.#messages.shift();
    if (message) return Promise.resolve(message);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  end() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #take(request, response) {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const { status, headers } = this.answer;
    response.writeHead(status, headers).end();
    const message = { path: request.url, headers: request.headers, body: Buffer.concat(pieces) };
    const waiting = this.#waiting.shift();
    if (waiting) waiting(message);
    else this.#messages.push(message);
  }
}
