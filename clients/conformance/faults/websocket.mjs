// The server's side of a WebSocket, as far as faults need it: RFC 6455 without extensions.

import { createHash } from 'node:crypto';

const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const FIN = 0x80;

/** What a client may send in one frame; it has little to say. */
const PAYLOAD_BYTES_MAX = 1024 * 1024;

/** The head of the answer that makes a connection a WebSocket. */
export function upgradeHead(headers) {
  const accept = createHash('sha1').update(headers['sec-websocket-key'] + ACCEPT_SUFFIX).digest('base64');
  const offered = headers['sec-websocket-protocol']?.split(/\s*,\s*/) ?? [];
  const chosen = offered.find((name) => name.startsWith('bellwire.v1.'));
  return 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    + `Sec-WebSocket-Accept: ${accept}\r\n${chosen ? `Sec-WebSocket-Protocol: ${chosen}\r\n` : ''}\r\n`;
}

function frame(opcode, payload, isFinal = true) {
  const { length } = payload;
  const head = length < 126 ? Buffer.alloc(2) : Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = (isFinal ? FIN : 0) | opcode;
  if (length < 126) head[1] = length;
  else if (length < 65_536) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

/** One message; in pieces of so many bytes where that is said. */
export function textFrames(payload, pieceBytes = Infinity) {
  if (payload.length <= pieceBytes) return frame(TEXT, payload);
  const frames = [];
  for (let at = 0; at < payload.length; at += pieceBytes) {
    const piece = payload.subarray(at, at + pieceBytes);
    frames.push(frame(at === 0 ? TEXT : 0, piece, at + pieceBytes >= payload.length));
  }
  return Buffer.concat(frames);
}

export function closeFrame(code) {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return frame(CLOSE, payload);
}

export const pingFrame = () => frame(PING, Buffer.from('ping'));

/** Reads what a client sends: its messages of text, and that it has closed or answered a ping. */
export class FrameReader {
  #rest = Buffer.alloc(0);

  constructor(heard) {
    this.heard = heard;
  }

  push(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (let taken; (taken = this.#take()) > 0; ) this.#rest = this.#rest.subarray(taken);
  }

  /** How many bytes a whole frame took; 0 where there is none yet. */
  #take() {
    const bytes = this.#rest;
    if (bytes.length < 2) return 0;
    let length = bytes[1] & 0x7f;
    let at = 2;
    if (length === 126) {
      if (bytes.length < 4) return 0;
      length = bytes.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      length = Infinity;
    }
    if (length > PAYLOAD_BYTES_MAX) {
      this.heard({ close: 1009 });
      return 0;
    }
    const isMasked = (bytes[1] & 0x80) !== 0;
    const end = at + (isMasked ? 4 : 0) + length;
    if (bytes.length < end) return 0;
    const payload = Buffer.from(bytes.subarray(end - length, end));
    if (isMasked) for (let i = 0; i < length; i += 1) payload[i] ^= bytes[at + (i % 4)];
    this.#tell(bytes[0] & 0x0f, payload, isMasked);
    return end;
  }

  #tell(opcode, payload, isMasked) {
    if (!isMasked) this.heard({ close: 1002 });
    else if (opcode === TEXT) this.heard({ text: payload.toString() });
    else if (opcode === CLOSE) this.heard({ close: payload.length >= 2 ? payload.readUInt16BE(0) : 1005 });
    else if (opcode === PONG) this.heard({ pong: true });
  }
}
