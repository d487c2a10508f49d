// What has become of one alert: a dialog that asks the public API for its history, a page at a time.
// Paths are relative to the page, so that it works below any path that a proxy gives it.

import { askWho } from './login.js';

const $ = (id) => document.getElementById(id);

const EVENTS_OF_PAGE = 50;
const UNREACHABLE = 'The server cannot be reached.';
const VERBS = {
  'alert.firing': 'fires', 'alert.data_lost': 'is silent', 'alert.resolved': 'resolved',
  'alert.acknowledged': 'is acknowledged', 'alert.unacknowledged': 'is acknowledged no more',
  'notification.failed': 'could not be told',
};
const KINDS = { 'alert.unacknowledged': 'acknowledged', 'notification.failed': 'gap' };
const stamp = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** Of whom the dialog tells, and where the next page begins. */
let shown = null;
let next = null;
/** How events look, as the board has it: { setSign, look, quantity }. */
let looks = null;

export function openHistory(alert, looksOfBoard) {
  shown = alert.fingerprint;
  next = null;
  looks = looksOfBoard;
  $('past').querySelector('.subject').textContent = alert.labels.alertname ?? alert.fingerprint;
  for (const list of ['past-events', 'past-silences']) $(list).replaceChildren();
  for (const text of ['past-rule', 'past-since', 'past-error']) $(text).textContent = '';
  $('past-older').hidden = true;
  $('past').showModal();
  askPage();
}

async function askPage() {
  const asked = shown;
  $('past-older').disabled = true;
  const before = next ? `&before=${encodeURIComponent(next)}` : '';
  const answer = await fetch(`v1/alerts/${asked}?limit=${EVENTS_OF_PAGE}${before}`).catch(() => null);
  const body = await answer?.json().catch(() => null);
  // An answer that is late is about another alert.
  if (shown !== asked) return;
  $('past-older').disabled = false;
  if (answer?.status === 401) askWho();
  $('past-error').textContent = answer?.ok ? '' : body?.detail ?? UNREACHABLE;
  if (answer?.ok) show(body);
}

function show({ rule, silences, history, next: older, complete_since: since }) {
  $('past-rule').textContent = rule?.expression ?? '';
  $('past-silences').replaceChildren(...silences.map(silenceRow));
  $('past-events').append(...history.map(eventRow));
  next = older ?? null;
  $('past-older').hidden = !next;
  const isAll = !next;
  $('past-since').textContent = !isAll ? ''
    : since ? `What was before ${stamp.format(since)} may be gone.`
      : $('past-events').children.length ? '' : 'Nothing yet.';
}

function eventRow({ type, time, data }) {
  const row = $('transition-row').content.firstElementChild.cloneNode(true);
  const kind = KINDS[type] ?? type.replace('alert.', '');
  const sign = kind === 'firing' ? looks.look(data.severity) : kind;
  row.dataset.kind = kind;
  row.dataset.severity = sign;
  looks.setSign(row, sign);
  setTime(row.querySelector('time'), time);
  row.querySelector('b').remove();
  row.querySelector('.verb').textContent = VERBS[type] ?? type;
  row.querySelector('.summary').textContent = detail(type, data);
  return row;
}

/** What the event has to say besides. */
function detail(type, data) {
  if (type === 'notification.failed') {
    return `${data.receiver}: ${data.reason}`;
  }
  if (type === 'alert.acknowledged' && data.acknowledged) {
    const { by, note } = data.acknowledged;
    return note ? `by ${by}: ${note}` : `by ${by}`;
  }
  if (type === 'alert.unacknowledged' || data.value === undefined) return '';
  return `at ${looks.quantity('', data.value)}`;
}

function silenceRow({ state, created_by: by, comment, starts_at: start, ends_at: end }) {
  const row = document.createElement('li');
  row.dataset.state = state;
  const words = { active: 'Silenced until', pending: 'To be silenced until', expired: 'Was silenced until' };
  row.textContent = `${words[state] ?? state} ${stamp.format(end)} by ${by}: ${comment}`;
  row.title = `from ${new Date(start).toLocaleString()} to ${new Date(end).toLocaleString()}`;
  return row;
}

function setTime(element, time) {
  element.dateTime = new Date(time).toISOString();
  element.title = new Date(time).toLocaleString();
  element.textContent = stamp.format(time);
}

$('past-older').addEventListener('click', askPage);
$('past').addEventListener('close', () => { shown = null; });
