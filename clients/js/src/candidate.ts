// This tab, as one of those that may lead: it waits for its turn as long as it has streams.

import { type Home, Leader } from './leader.js';
import { type Browser, newId } from './shared.js';
import type { Item, Opening, Sink, Transport } from './transport.js';

/** A stream of this tab. */
export interface Local {
  opening: Opening;
  sink: Sink;
}

export class Candidate {
  readonly #streams = new Set<Local>();
  #leader: Leader | null = null;
  #leave: () => void = () => {};

  constructor(
    private readonly browser: Browser,
    private readonly inner: Transport,
    private readonly name: string,
    private readonly onEmpty: () => void,
  ) {}

  join(stream: Local): void {
    this.#streams.add(stream);
    if (this.#streams.size === 1) this.lead();
  }

  part(stream: Local): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    this.#leave();
    this.onEmpty();
  }

  /** Leads when it is its turn, or takes the lead from whoever does not answer. */
  lead(steal = false): void {
    this.#leave();
    const control = new AbortController();
    let release = () => {};
    const leave = (this.#leave = () => {
      control.abort();
      this.#leader?.close();
      this.#leader = null;
      release();
    });
    const hold = () => new Promise<void>((resolve) => {
      release = resolve;
      if (control.signal.aborted) resolve();
      else this.#leader = new Leader(this.#home(), newId());
    });
    this.browser.locks.request(this.name, steal ? { steal } : { signal: control.signal }, hold).catch(() => {
      // Another one has taken it.
      if (this.#leave === leave && !control.signal.aborted) this.lead();
    });
  }

  #home(): Home {
    const { browser, inner, name } = this;
    return {
      browser,
      inner,
      name,
      opening: () => [...this.#streams].at(-1)!.opening,
      each: (item: Item) => {
        for (const { sink } of [...this.#streams]) sink.item(item);
      },
    };
  }
}
