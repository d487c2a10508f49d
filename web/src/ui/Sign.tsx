// The shapes of severities and states: each is another one, so that no colour is needed to tell them.

const SIGNS = {
  critical: 'M8.3 2.5h7.4l5.8 5.8v7.4l-5.8 5.8H8.3l-5.8-5.8V8.3zM11 6.5v7h2v-7zm0 9v2h2v-2z',
  warning: 'M12 2.8 22.5 21h-21zM11 9.5v5.5h2V9.5zm0 7v2h2v-2z',
  info: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm-1 8.5V17h2v-6.5zM11 7v2h2V7z',
  resolved: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm-1.5 14.3 6.7-6.7-1.4-1.4-5.3 5.3-2.3-2.3-1.4 1.4z',
  acknowledged: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm0 4a3.2 3.2 0 1 0 0 6.4A3.2 3.2 0 0 0 12 6zm0 8c-2.7 0-5 1.3-5.6 3.2A8 8 0 0 0 12 20a8 8 0 0 0 5.6-2.8C17 15.3 14.7 14 12 14z',
  data_lost: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm0 2.2a7.8 7.8 0 1 0 0 15.6 7.8 7.8 0 0 0 0-15.6zM7 11h10v2H7z',
  pending: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm0 2.2a7.8 7.8 0 1 0 0 15.6 7.8 7.8 0 0 0 0-15.6zM11 6.5h2v5.1l3.4 3.4-1.4 1.4-4-4z',
  silenced: 'M5 3.6 3.6 5l3.1 3.1A7 7 0 0 0 6.5 10v4l-2 3v1h12.1l2.4 2.4 1.4-1.4zM12 2.5c-1 0-1.6.6-1.6 1.5v.5a5.6 5.6 0 0 0-2 1.1l9.1 9.1V10c0-2.6-1.5-4.8-3.9-5.5V4c0-.9-.7-1.5-1.6-1.5zM9.8 19.5h4.4a2.2 2.2 0 0 1-4.4 0z',
  inhibited: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm0 2.2c-1.7 0-3.3.5-4.6 1.5l10.9 10.9A7.8 7.8 0 0 0 12 4.2zM5.7 7.4A7.8 7.8 0 0 0 16.6 18.3z',
  quiet: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm-1.5 14.3 6.7-6.7-1.4-1.4-5.3 5.3-2.3-2.3-1.4 1.4z',
  unsure: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm0 2.2a7.8 7.8 0 1 0 0 15.6 7.8 7.8 0 0 0 0-15.6zM11 15.8h2v2h-2zM12 6.2a3.6 3.6 0 0 1 3.6 3.5c0 2-2.6 2.5-2.6 4.3h-2c0-2.8 2.6-3 2.6-4.3a1.6 1.6 0 0 0-3.2 0h-2A3.6 3.6 0 0 1 12 6.2z',
} as const;

export type SignName = keyof typeof SIGNS;

export const isSign = (name: string): name is SignName => Object.hasOwn(SIGNS, name);

/** Drawn in the colour of the text around it; words say the same beside it. */
export function Sign({ name }: { name: SignName }) {
  return <svg class="sign" viewBox="0 0 24 24" aria-hidden="true"><path d={SIGNS[name]} /></svg>;
}
