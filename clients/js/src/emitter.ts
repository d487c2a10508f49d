// An `EventTarget` whose events have types.

/** What is a matter of types alone. */
export interface Emitter<Events> {
  removeEventListener<Type extends keyof Events & string>(
    type: Type,
    listener: ((event: CustomEvent<Events[Type]>) => void) | null,
    options?: EventListenerOptions | boolean,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: EventListenerOptions | boolean,
  ): void;
}

/** `Events` names what each event carries as its `detail`. */
export class Emitter<Events> extends EventTarget {
  /** What somebody has listened to, at any time: of the rest no event is made. */
  readonly #heard = new Set<string>();

  override addEventListener<Type extends keyof Events & string>(
    type: Type,
    listener: ((event: CustomEvent<Events[Type]>) => void) | null,
    options?: AddEventListenerOptions | boolean,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: AddEventListenerOptions | boolean,
  ): void;
  override addEventListener(type: string, listener: never, options?: AddEventListenerOptions | boolean): void {
    super.addEventListener(type, listener, options);
    this.#heard.add(type);
    this.listened(type);
  }

  /** Somebody listens to it from now on. */
  protected listened(_type: string): void {}

  /** For whoever makes the events, not for those who listen. */
  protected emit<Type extends keyof Events & string>(type: Type, detail: Events[Type]): void {
    if (this.#heard.has(type)) this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
