// What stands between a client and the server in the lab: it counts what goes over it, and plays a
// network that holds answers back, drops them, or a server that drains. Everything else is real.

/** What the network does. */
export type Weather = 'clear' | 'buffering' | 'dropped';

export interface Counts {
  requests: number;
  /** Bytes of bodies and frames, as a page sees them: without heads, and inflated. */
  bytesDown: number;
  bytesUp: number;
  /** Connections that were ended on purpose. */
  cut: number;
}

const BYE_RETRY_MS = 300;

/** One that is under way. */
interface Passage {
  /** A stream over HTTP, which a proxy may hold back. */
  isStream: boolean;
  /** The network ends it. */
  drop(): void;
  /** The server says that it drains. */
  drain(): void;
}

const encoder = new TextEncoder();

const lost = () => new TypeError('the network is away');

export class Wire {
  readonly counts: Counts = { requests: 0, bytesDown: 0, bytesUp: 0, cut: 0 };
  #weather: Weather = 'clear';
  readonly #open = new Set<Passage>();
  #waiting: (() => void)[] = [];

  constructor(private readonly real: { fetch: typeof fetch; WebSocket: typeof WebSocket }) {}

  get weather(): Weather {
    return this.#weather;
  }

  set weather(weather: Weather) {
    this.#weather = weather;
    // The way through a proxy is another one: streams begin anew on it.
    if (weather !== 'clear') this.#end((passage) => weather === 'dropped' || passage.isStream, (passage) => passage.drop());
    if (weather !== 'buffering') for (const release of this.#waiting.splice(0)) release();
  }

  /** All that is open is told so, and ends. */
  drain(): void {
    this.#end(() => true, (passage) => passage.drain());
  }

  #end(which: (passage: Passage) => boolean, act: (passage: Passage) => void): void {
    for (const passage of [...this.#open].filter(which)) {
      this.counts.cut += 1;
      act(passage);
    }
  }

  readonly fetch: typeof fetch = async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input, globalThis.location?.href);
    this.counts.requests += 1;
    this.counts.bytesUp += sizeOf(init.body);
    if (this.#weather === 'dropped') throw lost();
    const control = new AbortController();
    const { signal } = init;
    if (signal?.aborted) control.abort(signal.reason);
    signal?.addEventListener('abort', () => control.abort(signal.reason), { once: true });
    const isStream = `${new Headers(init.headers).get('accept')}`.startsWith('text/event-stream');
    const asked = this.real.fetch(url, { ...init, signal: control.signal });
    const response = await this.#unlessEnded(asked, control, { url, isStream });
    // A proxy that buffers passes nothing on before the answer has ended, its head included.
    if (isStream && this.#weather === 'buffering') await this.#cleared(control.signal);
    if (!response.body || response.status === 204) return response;
    return this.#passOn(response, control, isStream);
  };

  #cleared(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      this.#waiting.push(resolve);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  }

  /** The answer, unless the network goes or the server drains before it comes. A poll is answered then. */
  #unlessEnded(asked: Promise<Response>, control: AbortController, { url, isStream }: { url: URL; isStream: boolean }): Promise<Response> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        this.#open.delete(passage);
        settle();
        control.abort();
      };
      const passage: Passage = {
        isStream,
        drop: () => end(() => reject(lost())),
        drain: () => {
          const cursor = url.searchParams.get('after');
          if (cursor && !isStream) end(() => resolve(Response.json({ events: [], cursor })));
        },
      };
      this.#open.add(passage);
      asked.then(resolve, reject).finally(() => this.#open.delete(passage));
    });
  }

  #passOn(response: Response, control: AbortController, isStream: boolean): Response {
    const reader = response.body!.getReader();
    const body = new ReadableStream<Uint8Array>({
      start: (sink) => {
        const end = (say: () => void) => {
          if (!this.#open.delete(passage)) return;
          say();
          control.abort();
        };
        const passage: Passage = {
          isStream,
          drop: () => end(() => sink.error(lost())),
          drain: () => {
            if (!isStream) return;
            end(() => {
              sink.enqueue(encoder.encode(`event: bye\ndata: ${bye}\n\n`));
              sink.close();
            });
          },
        };
        this.#open.add(passage);
        const pass = async () => {
          for (;;) {
            const { done, value } = await reader.read();
            if (!this.#open.has(passage)) return;
            if (done) return end(() => sink.close());
            this.counts.bytesDown += value.length;
            sink.enqueue(value);
          }
        };
        pass().catch((fault) => end(() => sink.error(fault)));
      },
      cancel: (reason) => {
        control.abort(reason);
        return reader.cancel(reason).catch(() => {});
      },
    });
    const { status, statusText, headers } = response;
    return new Response(body, { status, statusText, headers });
  }

  /** In place of the global one: as much of it as a client needs. */
  get WebSocket(): typeof WebSocket {
    const wire = this;
    class Socket {
      onopen: ((event: Event) => void) | null = null;
      onmessage: ((event: { data: unknown }) => void) | null = null;
      onclose: ((event: { code: number; reason: string }) => void) | null = null;
      onerror: ((event: object) => void) | null = null;
      #socket: WebSocket | null = null;
      #passage: Passage;

      constructor(url: string | URL, protocols?: string | string[]) {
        const end = (code: number, reason: string) => {
          if (!wire.#open.delete(this.#passage)) return;
          this.#socket?.close();
          this.onclose?.({ code, reason });
        };
        this.#passage = {
          isStream: false,
          drop: () => end(1006, ''),
          drain: () => {
            this.onmessage?.({ data: bye });
            end(1001, 'drain');
          },
        };
        wire.counts.requests += 1;
        wire.#open.add(this.#passage);
        if (wire.weather === 'dropped') {
          queueMicrotask(() => end(1006, ''));
          return;
        }
        const socket = new wire.real.WebSocket(url, protocols);
        this.#socket = socket;
        socket.onopen = (event) => this.onopen?.(event);
        socket.onmessage = ({ data }) => {
          if (!wire.#open.has(this.#passage)) return;
          wire.counts.bytesDown += sizeOf(data) + frameBytes(sizeOf(data));
          this.onmessage?.({ data });
        };
        socket.onclose = ({ code, reason }) => end(code, reason);
      }

      get readyState(): number {
        return this.#socket?.readyState ?? WebSocket.CLOSED;
      }

      send(data: string | ArrayBuffer): void {
        // Each frame of a client has a mask of four bytes.
        wire.counts.bytesUp += sizeOf(data) + frameBytes(sizeOf(data)) + 4;
        this.#socket?.send(data);
      }

      close(code?: number, reason?: string): void {
        wire.#open.delete(this.#passage);
        this.#socket?.close(code, reason);
      }
    }
    return Socket as unknown as typeof WebSocket;
  }
}

/** What a server says that drains. */
const bye = JSON.stringify({ control: 'bye', reason: 'drain', retry_ms: BYE_RETRY_MS });

function sizeOf(data: unknown): number {
  if (typeof data === 'string') return encoder.encode(data).length;
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return data.byteLength;
  return 0;
}

/** What RFC 6455 puts before a payload. */
const frameBytes = (payload: number) => (payload < 126 ? 2 : payload < 65_536 ? 4 : 10);
