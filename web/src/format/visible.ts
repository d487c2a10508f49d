// Texts that others choose, as the page shows them.

/** What steers how text runs, or cannot be seen: shown as what it is, no value looks like another and
 * none reaches beyond its place. */
const STEERING = /[\0-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g;

const escaped = (c: string) => (c === '\n' ? '\\n' : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** A name or a value, on one line. */
export const visible = (text: unknown): string => String(text).replace(STEERING, escaped);

/** The same of text that may have lines. */
export const steady = (text: unknown): string => String(text).replace(STEERING, (c) => ('\n\t\r'.includes(c) ? c : escaped(c)));
