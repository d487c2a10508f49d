// What has become of one alert: a dialog that asks the public API for its history, a page at a time.
// Paths are relative to the page, so that it works below any path that a proxy gives it.

import { askWho } from './login.js';
import { steady, visible } from './text.js';
import { drawTimeline, lasting } from './timeline.js';

const $ = (id) => document.getElementById(id);

const EVENTS_OF_PAGE = 50;
const UNREACHABLE = 'The server cannot be reached.';
/** A start that still reads the journal says when to come back, if nothing else does. */
const RETRY_MS = 2_000;
/** What comes in a burst is asked for once; of what the board does not tell, such as notifications, it is
 * looked whether there is something now and then. */
const REFRESH_MS = 300;
const LOOK_AGAIN_MS = 3_000;
const VERBS = {
  'alert.firing': 'fires', 'alert.data_lost': 'is silent', 'alert.resolved': 'resolved',
  'alert.acknowledged': 'is acknowledged', 'alert.unacknowledged': 'is acknowledged no more',
};
const KINDS = { 'alert.unacknowledged': 'acknowledged', 'notification.sent': 'sent', 'notification.failed': 'failed' };
const PRESENT = { pending: 'pending', firing: 'fires', data_lost: 'is silent', resolved: 'resolved' };
const stamp = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });

/** What the dialog tells of: { alert, events, silences, series, rule, next, since }; nothing while it is closed. */
let shown = null;
/** How things look, as the board has it: { setSign, look, quantity, now, attend }. */
let looks = null;
let waiting = null;

export function openHistory(alert, looksOfBoard) {
  looks = looksOfBoard;
  shown = { alert, events: [], silences: [], series: new Map(), rule: null, next: null, since: null, rows: new Map(), rowsSay: undefined, written: '' };
  $('past').querySelector('.subject').textContent = visible(alert.labels.alertname ?? alert.fingerprint);
  const own = Object.entries(alert.labels).filter(([name]) => name !== 'alertname');
  $('past-labels').replaceChildren(...own.map(([name, value]) => item(`${name}=${visible(value)}`)));
  for (const list of ['past-events', 'past-silences', 'past-timeline']) $(list).replaceChildren();
  for (const text of ['past-rule', 'past-since', 'past-error', 'past-state']) $(text).textContent = '';
  $('past-figure').hidden = true;
  $('past-older').hidden = true;
  $('past-nothing').hidden = true;
  $('past').setAttribute('aria-busy', 'true');
  $('past').showModal();
  ask(null);
}

/** Something has become of an alert: where the dialog tells of it, what is new is asked for. */
export function noteChange(alert) {
  if (shown?.alert.fingerprint !== alert.fingerprint || shown.alert.state === alert.state) return;
  shown.alert = alert;
  clearTimeout(waiting);
  waiting = setTimeout(() => shown && ask(null), REFRESH_MS);
}

async function ask(before) {
  const asked = shown;
  $('past-older').disabled = true;
  const place = before ? `&before=${encodeURIComponent(before)}` : '';
  const answer = await fetch(`v1/alerts/${asked.alert.fingerprint}?limit=${EVENTS_OF_PAGE}${place}`).catch(() => null);
  const body = await answer?.json().catch(() => null);
  // An answer that is late is about another alert.
  if (shown !== asked) return;
  $('past-older').disabled = false;
  if (answer?.status === 401) askWho();
  if (answer?.status === 429) {
    $('past-since').textContent = 'The server has just started and still reads what was before.';
    clearTimeout(waiting);
    waiting = setTimeout(() => shown === asked && ask(before), (Number(answer.headers.get('retry-after')) || 0) * 1000 || RETRY_MS);
    return;
  }
  $('past').removeAttribute('aria-busy');
  $('past-error').textContent = answer?.ok ? '' : body?.detail ?? UNREACHABLE;
  if (answer?.ok) take(body, before);
  clearTimeout(waiting);
  waiting = setTimeout(() => shown === asked && ask(null), LOOK_AGAIN_MS);
}

/** A page: an older one behind what is there, the newest one before it. */
function take({ alert, rule, silences, history, series, next, complete_since: since }, before) {
  const known = new Set(shown.events.map(({ cursor }) => cursor));
  const fresh = history.filter(({ cursor }) => !known.has(cursor));
  const joins = before !== null || shown.events.length === 0 || fresh.length < history.length;
  if (before !== null) shown.events.push(...fresh);
  else shown.events = joins ? [...fresh, ...shown.events] : history;
  // The newest page knows where the older ones begin only if there were none.
  if (before !== null || shown.events.length === history.length || !joins) shown.next = next ?? null;
  Object.assign(shown, { rule: rule ?? null, silences, since: since ?? null });
  if (alert) shown.alert = alert;
  for (const { name, labels, timestamps, values } of series ?? []) {
    const key = JSON.stringify([name, Object.entries(labels).sort()]);
    if (!shown.series.has(key)) shown.series.set(key, new Map());
    timestamps.forEach((time, index) => {
      if (typeof values[index] === 'number') shown.series.get(key).set(time, values[index]);
    });
  }
  show();
}

function show() {
  const { alert, events, silences, rule, next, since } = shown;
  const state = $('past-state');
  state.textContent = alert.state.replace('_', ' ');
  state.dataset.state = alert.state;
  state.dataset.severity = alert.state === 'resolved' ? 'resolved' : looks.look(alert.severity);
  $('past-rule').textContent = steady(rule?.expression ?? '');
  $('past-silences').replaceChildren(...silences.map(silenceRow));
  // Very long ones are left as they are until something is new.
  const written = JSON.stringify([rule?.expression, events.length, events[0]?.cursor, events.at(-1)?.cursor]);
  if (written !== shown.written) {
    shown.written = written;
    showRows(events);
  }
  $('past-older').hidden = !next;
  $('past-nothing').hidden = events.length > 0;
  $('past-since').textContent = next ? ''
    : since ? `What was before ${stamp.format(since)} may be gone.` : '';
  draw();
}

function draw() {
  if (!shown || shown.events.length === 0) return;
  const { events, silences, series, rule } = shown;
  // It is of one series nearly always; the newest is the one that the page tells first.
  const points = series.values().next().value ?? new Map();
  const { metric, bound } = comparison(rule?.expression);
  const quantity = (value) => looks.quantity(metric, value);
  drawTimeline($('past-timeline'), { events, silences, points, now: looks.now(), bound, quantity });
}

/** What an expression compares with which number, where it is no more than that. */
function comparison(expression) {
  const found = expression?.match(/^\s*([a-zA-Z_:][\w:]*)\s*(?:\{[^{}]*\})?\s*(?:==|!=|>=|<=|>|<)\s*(-?[\d.]+(?:e-?\d+)?)\s*$/);
  return found ? { metric: found[1], bound: Number(found[2]) } : { metric: '', bound: undefined };
}

function showRows(events) {
  const list = $('past-events');
  const place = list.scrollTop;
  if (shown.rowsSay !== shown.rule?.expression) shown.rows.clear();
  shown.rowsSay = shown.rule?.expression;
  list.replaceChildren(...rows(events));
  list.scrollTop = place;
}

/** The rows of events, and one for each day. */
function* rows(events) {
  let last = null;
  for (const event of events) {
    const today = day.format(event.time);
    if (today !== last) {
      const row = document.createElement('li');
      row.className = 'day';
      row.textContent = today;
      yield row;
      last = today;
    }
    if (!shown.rows.has(event.cursor)) shown.rows.set(event.cursor, eventRow(event));
    yield shown.rows.get(event.cursor);
  }
}

function eventRow({ type, time, data }) {
  const row = $('transition-row').content.firstElementChild.cloneNode(true);
  const kind = KINDS[type] ?? type.replace('alert.', '');
  const sign = kind === 'firing' ? looks.look(data?.severity) : kind;
  row.dataset.kind = kind;
  row.dataset.severity = sign;
  looks.setSign(row, sign);
  setTime(row.querySelector('time'), time);
  row.querySelector('b').remove();
  row.querySelector('.verb').textContent = steady(VERBS[type] ?? letterVerb(type, data ?? {}));
  row.querySelector('.summary').textContent = steady(detail(type, data ?? {}));
  if (data?.expression && data.expression !== shown.rule?.expression) {
    const then = document.createElement('code');
    then.className = 'then';
    then.textContent = steady(data.expression);
    then.title = 'The rule’s expression as it was then';
    row.querySelector('p').append(then);
  }
  return row;
}

function letterVerb(type, { receiver, webhook, told_as: as }) {
  const whom = webhook > 0 ? `${receiver} (webhook ${webhook + 1})` : receiver;
  if (type === 'notification.sent') return `${whom} was told that it ${as === 'resolved' ? 'resolved' : 'fires'}`;
  return type === 'notification.failed' ? `${whom} could not be told` : type;
}

/** What the event has to say besides. */
function detail(type, data) {
  const tries = data.attempts > 1 ? `after ${data.attempts} attempts` : '';
  if (type === 'notification.sent') {
    const reason = data.notification_reason === 'repeat interval elapsed' ? 'once more' : '';
    return [reason, tries].filter(Boolean).join(', ');
  }
  if (type === 'notification.failed') {
    return [data.reason ?? (data.last_status ? `it answers ${data.last_status}` : ''), tries].filter(Boolean).join(', ');
  }
  if (type === 'alert.acknowledged' && data.acknowledged) {
    const { by, note } = data.acknowledged;
    return note ? `by ${by}: ${note}` : `by ${by}`;
  }
  if (type === 'alert.unacknowledged') return '';
  const { metric } = comparison(data.expression ?? shown.rule?.expression);
  const value = data.value === undefined ? '' : `${type === 'alert.resolved' ? 'last' : 'at'} ${looks.quantity(metric, data.value)}`;
  const lasted = type === 'alert.resolved' && data.fired_at ? `after ${lasting((data.resolved_at ?? 0) - data.fired_at)}` : '';
  return [lasted, value].filter(Boolean).join(', ');
}

function silenceRow({ state, created_by: by, comment, starts_at: start, ends_at: end }) {
  const words = { active: 'Silenced until', pending: 'To be silenced until', expired: 'Was silenced until' };
  const row = item(`${words[state] ?? state} ${stamp.format(end)} by ${by}: ${comment}`);
  row.dataset.state = state;
  row.title = `from ${new Date(start).toLocaleString()} to ${new Date(end).toLocaleString()}`;
  return row;
}

function item(text) {
  const item = document.createElement('li');
  item.textContent = steady(text);
  return item;
}

function setTime(element, time) {
  element.dateTime = new Date(time).toISOString();
  element.title = new Date(time).toLocaleString();
  element.textContent = clock.format(time);
}

$('past-older').addEventListener('click', () => ask(shown.next));
$('past').addEventListener('close', () => {
  clearTimeout(waiting);
  shown = null;
});
new ResizeObserver(draw).observe($('past-figure'));
