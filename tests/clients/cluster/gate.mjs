// What is between one node and its engine: passes on what each of them says, or nothing, as a network
// that has parted does. What was said meanwhile arrives when it is whole again, unless its sender has
// given up.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Gate {
  #server;
  #target;
  #isShut = false;
  /** Both ends of each connection. */
  #sockets = new Set();

  /** `target` gives the port that it leads to. */
  constructor(target) {
    this.#target = target;
    this.#server = createServer((socket) => this.#pass(socket));
  }

  /** Begins to listen; gives the port. */
  async start(atEnd) {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    atEnd(() => this.#end());
    return this.#server.address().port;
  }

  /** From now on nothing passes, either way. */
  shut() {
    this.#isShut = true;
    this.#sockets.forEach((socket) => socket.pause());
  }

  open() {
    this.#isShut = false;
    this.#sockets.forEach((socket) => socket.resume());
  }

  #pass(near) {
    const far = connect(this.#target(), '127.0.0.1');
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#sockets.add(from);
      if (this.#isShut) from.pause();
      // Who reads slowly slows down who writes.
      from.on('data', (data) => to.write(data) || this.#wait(from, to));
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }

  #wait(from, to) {
    from.pause();
    to.once('drain', () => this.#isShut || from.resume());
  }

  async #end() {
    this.#server.close();
    this.#sockets.forEach((socket) => socket.destroy());
  }
}
