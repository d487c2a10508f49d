// Short tones, made here: three for what is critical, two for a warning, one for the rest. Browsers let a
// page sound once somebody has pressed something in it.

import { signal } from '@preact/signals';
import { type Kind, KINDS } from './kinds.js';

interface Tone {
  hertz: number;
  /** From the beginning, in seconds. */
  at: number;
}

const TONES: Record<Kind, readonly Tone[]> = {
  critical: [{ hertz: 880, at: 0 }, { hertz: 1_175, at: 0.18 }, { hertz: 1_568, at: 0.36 }],
  warning: [{ hertz: 784, at: 0 }, { hertz: 988, at: 0.2 }],
  info: [{ hertz: 659, at: 0 }],
};
const TONE_S = 0.16;
const LOUDNESS = 0.2;

let context: AudioContext | null = null;

/** Whether this page may sound. */
export const maySound = signal(false);

/** Has the page sound from now on; to be called while somebody presses something. */
export function unlockSounds(): void {
  if (typeof AudioContext === 'undefined') return;
  try {
    context ??= new AudioContext();
    const opened = context;
    void opened.resume().then(() => { maySound.value = opened.state === 'running'; }, () => {});
  } catch {
    // There is nothing to sound with.
  }
}

/** Has the first press anywhere open the way, where somebody wants sounds. */
export function unlockByGesture(isWanted: () => boolean): void {
  const unlock = () => {
    if (isWanted() && !maySound.peek()) unlockSounds();
  };
  for (const gesture of ['pointerdown', 'keydown'] as const) addEventListener(gesture, unlock, { passive: true });
}

export function sound(kind: Kind): void {
  if (!context || context.state !== 'running') return;
  const begin = context.currentTime + 0.02;
  for (const { hertz, at } of TONES[kind]) {
    const [oscillator, gain] = [context.createOscillator(), context.createGain()];
    oscillator.frequency.value = hertz;
    // Without these edges it clicks.
    gain.gain.setValueAtTime(0, begin + at);
    gain.gain.linearRampToValueAtTime(LOUDNESS, begin + at + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.001, begin + at + TONE_S);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(begin + at);
    oscillator.stop(begin + at + TONE_S);
  }
}

/** The most pressing of some kinds. */
export const worst = (kinds: ReadonlySet<Kind>): Kind | undefined => KINDS.find((kind) => kinds.has(kind));
