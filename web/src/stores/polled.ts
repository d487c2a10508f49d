// What is asked for again and again while it is looked at. What was told last stays where the server
// does not answer, and says how old it is.

import { type Signal, signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';

export interface Polled<Answer> {
  /** What was told last. */
  answer: Signal<Answer | null>;
  /** Why the last question came to nothing. */
  failure: Signal<Error | null>;
  /** When it was told, in milliseconds of `performance.now()`. */
  at: Signal<number | null>;
  /** Asks at once. */
  again: () => void;
}

/** What takes longer is as good as no answer. */
const PATIENCE_MS = 15_000;

/** Asks once, and then each so often behind the last answer, or no more where that is `Infinity`; nothing while the page is not seen. */
export function poll<Answer>(question: (signal: AbortSignal) => Promise<Answer>, everyMs: () => number): Polled<Answer> & { stop: () => void } {
  const polled = { answer: signal<Answer | null>(null), failure: signal<Error | null>(null), at: signal<number | null>(null) };
  let control = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;
  const turn = async () => {
    clearTimeout(timer);
    control.abort();
    const own = control = new AbortController();
    if (!document.hidden) {
      const late = setTimeout(() => own.abort(new Error('no answer')), PATIENCE_MS);
      try {
        const told = await question(own.signal);
        if (own !== control || isStopped) return;
        [polled.answer.value, polled.at.value, polled.failure.value] = [told, performance.now(), null];
      } catch (error) {
        if (own !== control || isStopped) return;
        polled.failure.value = error as Error;
      } finally {
        clearTimeout(late);
      }
    }
    const pause = everyMs();
    if (!isStopped && pause < Infinity) timer = setTimeout(turn, pause);
  };
  const again = () => void turn();
  const shown = () => { if (!document.hidden && everyMs() < Infinity) again(); };
  document.addEventListener('visibilitychange', shown);
  again();
  const stop = () => {
    isStopped = true;
    clearTimeout(timer);
    control.abort();
    document.removeEventListener('visibilitychange', shown);
  };
  return { ...polled, again, stop };
}

/** The same for as long as a component is there, and anew where `key` is another. */
export function usePolled<Answer>(question: (signal: AbortSignal) => Promise<Answer>, everyMs: number | (() => number), key = ''): Polled<Answer> {
  const [polled, setPolled] = useState<Polled<Answer>>(() => ({ answer: signal(null), failure: signal(null), at: signal(null), again: () => {} }));
  useEffect(() => {
    const begun = poll(question, typeof everyMs === 'number' ? () => everyMs : everyMs);
    setPolled(begun);
    return begun.stop;
  }, [key]);
  return polled;
}
