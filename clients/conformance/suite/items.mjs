// What places send, as scenarios write it.

/** A time that is none in particular. */
const TIME = 1_767_225_600_000;

/** The cursor of the event of this number. */
export const at = (n) => `e1-${n}`;

/** An event whose payload is its number, or another one. */
export function event(n, more = {}) {
  return { event: { topic: 'lab/a', time: TIME, cursor: at(n), data: n, ...more } };
}

export function ready(cursor = at(0), heartbeatMs = 25_000) {
  return { control: { control: 'ready', cursor, heartbeat_interval_ms: heartbeatMs } };
}

export const control = (name, members) => ({ control: { control: name, ...members } });

export const wait = (ms) => ({ wait_ms: ms });
export const cut = (how = 'break') => ({ cut: how });

/** The answer that refuses with a problem, which may say more. */
export function problem(status, code, headers = {}, more = {}) {
  return { status, headers, body: { code, detail: 'as the scenario has it', status, title: '', type: 'about:blank', ...more } };
}

/** What something else than Bellwire says in its place. */
export function page(status, headers = {}) {
  return { status, headers: { 'Content-Type': 'text/html', ...headers }, body: '<html><body>Log in, please.</body></html>' };
}

export const stream = (...items) => ({ stream: items });
