// How what a stream brings looks on each transport.

/** Control events whose cursor is an `id:` of Server-Sent Events, too. */
const WITH_ID = new Set(['ready', 'reset', 'end', 'reopened', 'heartbeat']);

/** The bytes of an item of a play: text and bytes as they are, events and control events in a frame. */
export function bytesOf(item, kind) {
  if (typeof item === 'string') return Buffer.from(item);
  if (item.hex !== undefined) return Buffer.from(item.hex, 'hex');
  if (item.part !== undefined) return partOf(bytesOf(item.part, kind), item.bytes);
  return Buffer.from(kind === 'sse' ? sseFrame(item) : `${JSON.stringify(item.event ?? item.control)}\n`);
}

/** So many bytes from the beginning; a negative number leaves so many out at the end. */
export function partOf(whole, bytes) {
  return whole.subarray(0, bytes < 0 ? whole.length + bytes : bytes);
}

function sseFrame({ event, control }) {
  const { cursor } = event ?? control;
  const type = event ? event.type : control.control;
  const id = cursor !== undefined && (event || WITH_ID.has(control.control)) ? `id: ${cursor}\n` : '';
  return `${id}${type ? `event: ${type}\n` : ''}data: ${JSON.stringify(event ?? control)}\n\n`;
}

/** The answer to a long poll that has these items, from a cursor; `more`: whether others wait already. */
export function pollAnswer(items, asked, more = false) {
  const events = items.flatMap(({ event }) => event ?? []);
  const controls = items.flatMap(({ control }) => control ?? []);
  const named = (...names) => controls.filter(({ control }) => names.includes(control));
  const [gap] = named('gap');
  const [reset] = named('reset');
  const ends = named('end', 'reopened');
  const degraded = named('degraded', 'restored').at(-1);
  const cursor = items.map((item) => (item.event ?? item.control)?.cursor).findLast(Boolean) ?? asked ?? 'e1-0';
  return { events, more, cursor, ...(gap && { gap }), ...(reset && { reset }), ...(ends.length > 0 && { ends }), ...(degraded?.control === 'degraded' && { degraded }) };
}
