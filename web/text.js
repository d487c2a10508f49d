// Texts as the page shows them: others choose most of them.

/** What steers how text runs, or cannot be seen, is shown as what it is, so that no value looks like
 * another and none reaches beyond its place. */
const STEERING = /[\0-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g;

export const visible = (text) =>
  String(text).replace(STEERING, (c) => (c === '\n' ? '\\n' : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`));

/** The same of text that may have lines. */
export const steady = (text) => String(text).replace(STEERING, (c) => ('\n\t\r'.includes(c) ? c : visible(c)));

/** Sets text only where it differs: the rest of the page is left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
  const hours = Math.floor(seconds / 3600);
  if (hours < 48) return `${hours} h ${String(Math.floor(seconds / 60) % 60).padStart(2, '0')} min`;
  return `${Math.floor(hours / 24)} days`;
}
