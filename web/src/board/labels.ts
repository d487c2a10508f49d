// Which labels there are, and how often each value: what a group has in common, and what completes a
// filter. It is kept as alerts come and go, so that nobody counts ten thousand of them anew.

type Labels = Readonly<Record<string, string>>;

export class LabelIndex {
  readonly #values = new Map<string, Map<string, number>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(labels: Labels): void {
    this.#size += 1;
    for (const [name, value] of Object.entries(labels)) {
      let counts = this.#values.get(name);
      if (!counts) this.#values.set(name, (counts = new Map()));
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
  }

  remove(labels: Labels): void {
    this.#size -= 1;
    for (const [name, value] of Object.entries(labels)) {
      const counts = this.#values.get(name);
      const count = counts?.get(value) ?? 0;
      if (count > 1) counts!.set(value, count - 1);
      else if (counts?.delete(value) && counts.size === 0) this.#values.delete(name);
    }
  }

  /** Names with how many values each has. */
  names(): Map<string, number> {
    return new Map([...this.#values].map(([name, counts]) => [name, counts.size]));
  }

  /** Values of a label with how many have each. */
  values(name: string): ReadonlyMap<string, number> {
    return this.#values.get(name) ?? new Map();
  }

  /** The labels that all have, with the same value. */
  shared(): [string, string][] {
    const shared: [string, string][] = [];
    for (const [name, counts] of this.#values) {
      if (counts.size > 1) continue;
      const [[value, count]] = counts as unknown as [[string, number]];
      if (count === this.#size) shared.push([name, value]);
    }
    return shared;
  }
}
