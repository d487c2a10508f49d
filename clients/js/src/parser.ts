// Server-Sent Events from text that comes in pieces, as the HTML standard reads them.

/** One event of the stream. */
export interface SseEvent {
  /** `event:`, or `message`. */
  type: string;
  /** The lines of `data:`. */
  data: string;
  /** The last `id:` so far. */
  lastEventId: string;
}

export interface SseHandlers {
  event(event: SseEvent): void;
  /** `retry:`, in milliseconds. */
  retry?(ms: number): void;
  /** A line that begins with a colon, without it. */
  comment?(text: string): void;
}

/** What a line and the event that it is of may come to, in characters. */
export const SSE_EVENT_LENGTH_MAX = 16_777_216;

export class SseParser {
  /** The beginning of a line whose end has not come. */
  #rest = '';
  #isStart = true;
  /** The last character was a carriage return: a line feed behind it ends no other line. */
  #isAfterReturn = false;
  #data: string | null = null;
  #type = '';
  #id = '';

  /** The last `id:` that the end of a block, with data or without, has made count. */
  lastEventId = '';

  constructor(private readonly handlers: SseHandlers) {}

  /** Takes the next piece. Throws `RangeError` where an event is longer than any may be. */
  push(piece: string): void {
    if (!piece) return;
    let start = 0;
    if (this.#isStart && piece.startsWith('\uFEFF')) start = 1;
    else if (this.#isAfterReturn && piece.startsWith('\n')) start = 1;
    this.#isStart = false;
    this.#isAfterReturn = piece.endsWith('\r');
    const hasReturns = piece.includes('\r');
    for (;;) {
      let end = piece.indexOf('\n', start);
      let next = end + 1;
      if (hasReturns) {
        const at = piece.indexOf('\r', start);
        if (at >= 0 && (end < 0 || at < end)) {
          next = end === at + 1 ? end + 1 : at + 1;
          end = at;
        }
      }
      if (end < 0) break;
      const line = this.#rest + piece.slice(start, end);
      this.#rest = '';
      this.#line(line);
      start = next;
    }
    this.#rest += piece.slice(start);
    if (this.#rest.length + (this.#data?.length ?? 0) > SSE_EVENT_LENGTH_MAX) {
      throw new RangeError('an event is too long');
    }
  }

  #line(line: string): void {
    if (!line) return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return this.handlers.comment?.(line.slice(1));
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (name === 'data') this.#data = this.#data === null ? value : `${this.#data}\n${value}`;
    else if (name === 'event') this.#type = value;
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
    else if (name === 'retry' && /^\d+$/.test(value)) this.handlers.retry?.(Number(value));
  }

  #dispatch(): void {
    const data = this.#data;
    const type = this.#type || 'message';
    this.lastEventId = this.#id;
    this.#data = null;
    this.#type = '';
    // One empty line of data is data, too.
    if (data !== null) this.handlers.event({ type, data, lastEventId: this.lastEventId });
  }
}
