// A query that is typed by hand and followed: one EventSource of its own on the public API. Each
// element of the answer is a row, which changes as samples come.

import { askWho } from './login.js';
import { visible } from './text.js';

const $ = (id) => document.getElementById(id);

const ROWS_MAX = 50;
const POINTS_MAX = 60;
/** So much of what is remembered of the elements is asked for, so that their lines are full at once. */
const HISTORY = '5m';
/** How long an answer is looked at before all of it is shown anew. */
const FRAME_MS = 100;

/** Elements by their keys: { name, labels, value, values }. */
let elements = new Map();
let source = null;
/** The keys that have come since the stream was opened last. */
let come = new Set();
/** The topic of its answer, once it is known. */
let followed = '';
/** What is followed, or was last, and how often something was. */
let expression = '';
let asking = 0;
let isWhole = false;
let rowsByKey = new Map();
let waiting = null;
let looks = null;

/** What the board lends: { quantity, drawLine }. */
export function beginQueries(looksOfBoard) {
  looks = looksOfBoard;
  $('query-form').addEventListener('submit', (event) => {
    event.preventDefault();
    follow($('query').value.trim());
  });
  $('query-stop').addEventListener('click', stop);
  const asked = new URLSearchParams(location.search).get('query');
  if (asked) {
    $('query').value = asked;
    follow(asked);
  }
}

/** Expressions to begin with, of what there is: metrics as { name, count, labels: names of labels }. */
export function suggest(metrics) {
  const place = $('query-examples').querySelector('span');
  if (place.childElementCount > 0) return;
  const most = metrics.filter(({ count }) => count > 2).sort((a, b) => b.count - a.count)[0];
  if (!most) return;
  const label = most.labels.find((name) => name !== 'sensor' && name !== 'instance') ?? most.labels[0];
  const examples = [`topk(3, ${most.name})`, label && `avg by (${label}) (${most.name})`].filter(Boolean);
  place.replaceChildren('Try ', ...examples.flatMap((example, index) => [index > 0 ? ' or ' : '', exampleButton(example)]), '.');
}

function exampleButton(expression) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = expression;
  button.addEventListener('click', () => {
    $('query').value = expression;
    follow(expression);
  });
  return button;
}

function follow(typed) {
  stop();
  asking += 1;
  expression = typed;
  if (!expression) return;
  say('asking', 'Asking…');
  $('query-stop').hidden = false;
  const place = new URL(location);
  place.searchParams.set('query', expression);
  history.replaceState(null, '', place);
  const asked = new URLSearchParams({ query: expression });
  source = new EventSource(`v1/events?${asked}`);
  const own = source;
  // Whoever comes back is told all that there is, and not what has gone meanwhile.
  source.onopen = () => {
    if (own !== source) return;
    come = new Set();
    isWhole = false;
  };
  source.onmessage = (event) => own === source && take(JSON.parse(event.data));
  source.addEventListener('ready', () => {
    if (own !== source) return;
    isWhole = true;
    for (const key of elements.keys()) if (!come.has(key)) elements.delete(key);
    schedule();
    askPast(own);
  });
  source.addEventListener('bye', (event) => own === source && leave(JSON.parse(event.data)));
  source.onerror = () => own === source && broken();
}

function stop() {
  source?.close();
  source = null;
  followed = '';
  isWhole = false;
  elements = new Map();
  rowsByKey = new Map();
  clearTimeout(waiting);
  waiting = null;
  $('query-rows').replaceChildren();
  $('query-stop').hidden = true;
  $('query-head').textContent = '';
  say('', '');
}

function take({ topic, key, data, deleted }) {
  if (!topic.startsWith('query/')) return;
  followed = topic;
  if (key === 'query') return deleted ? end() : head(data);
  if (deleted) elements.delete(key);
  else {
    come.add(key);
    const known = elements.get(key) ?? { values: [] };
    Object.assign(known, { name: data.name, labels: data.labels, value: data.value });
    push(known, data.value);
    elements.set(key, known);
  }
  schedule();
}

/** What is remembered of the elements since a while ago: others may have followed it before. */
async function askPast(own) {
  const answer = await fetch(`v1/topics/${followed}?history=${HISTORY}`).catch(() => null);
  const body = answer?.ok ? await answer.json().catch(() => null) : null;
  if (own !== source || !body) return;
  for (const { type, key, data } of body.events) {
    const known = elements.get(key);
    if (type !== 'history' || !known || data.values.length <= known.values.length) continue;
    known.values = data.values.filter((value) => typeof value === 'number').slice(-POINTS_MAX);
  }
  schedule();
}

function push(element, value) {
  if (typeof value !== 'number') return;
  element.values.push(value);
  if (element.values.length > POINTS_MAX) element.values.shift();
}

function head({ error, evaluated_every_ms: every }) {
  $('query-head').textContent = error ?? (every ? `evaluated each ${every} ms: the server has more to look at than it has time for` : '');
}

function end() {
  const why = $('query-head').textContent;
  stop();
  say('refused', why || 'The server follows it no more.');
}

/** What passes: the browser tries again by itself. */
function leave({ detail, reason }) {
  say('asking', detail ?? `The server ends the stream (${reason}); the browser tries again.`);
}

/** What is wrong for good is a status, which an EventSource hides: a request of its own tells. */
async function broken() {
  if (source.readyState !== EventSource.CLOSED) return say('asking', 'The connection is lost; the browser tries again.');
  stop();
  const asked = asking;
  const aborting = new AbortController();
  const parameters = new URLSearchParams({ query: expression, refusals: 'status' });
  const options = { headers: { accept: 'text/event-stream' }, signal: aborting.signal };
  const answer = await fetch(`v1/events?${parameters}`, options).catch(() => null);
  const problem = answer && !answer.ok ? await answer.json().catch(() => null) : null;
  aborting.abort();
  // Somebody may have asked something else meanwhile.
  if (asked !== asking) return;
  if (answer?.status === 401) askWho();
  say('refused', problem?.detail ?? 'The server cannot be reached.');
}

function say(state, text) {
  $('query-state').dataset.state = state;
  $('query-state').textContent = text;
}

function schedule() {
  waiting ??= setTimeout(() => {
    waiting = null;
    show();
  }, FRAME_MS);
}

function show() {
  if (!source) return;
  const sorted = [...elements].sort(([a], [b]) => (a < b ? -1 : 1));
  const shown = sorted.slice(0, ROWS_MAX);
  for (const [key, element] of shown) {
    if (!rowsByKey.has(key)) rowsByKey.set(key, newRow(element));
    fill(rowsByKey.get(key), element);
  }
  const wanted = shown.map(([key]) => rowsByKey.get(key));
  for (const [key, row] of rowsByKey) {
    if (wanted.includes(row)) continue;
    row.remove();
    rowsByKey.delete(key);
  }
  const list = $('query-rows');
  wanted.forEach((row, index) => {
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
  wanted.forEach((row, index) => looks.drawLine(row.querySelector('canvas'), shown[index][1].values));
  if (!isWhole) return say('asking', 'Asking…');
  const count = sorted.length === 1 ? 'one element' : `${sorted.length} elements`;
  const more = sorted.length > shown.length ? `, of which ${shown.length} are shown` : '';
  say('live', sorted.length === 0 ? 'Live: nothing answers it now.' : `Live: ${count}${more}.`);
}

function newRow({ name, labels }) {
  const row = $('series-row').content.firstElementChild.cloneNode(true);
  const own = Object.entries(labels).map(([label, value]) => `${label}=${visible(value)}`).join(' · ');
  const text = [name, own].filter(Boolean).join(' ') || 'the answer';
  row.querySelector('.series-labels span').textContent = text;
  row.querySelector('.series-labels').title = text;
  return row;
}

function fill(row, { name, value }) {
  const text = looks.quantity(name || unit(), value);
  const shown = row.querySelector('.series-value');
  if (shown.textContent !== text) shown.textContent = text;
}

/** Whose unit an element without a name has: that of a sum, a mean, or one of several. */
function unit() {
  return expression.match(/\b(?:sum|avg|min|max|topk|bottomk|quantile)\b[^(]*\(.*?([a-zA-Z_:][\w:]*_(?:celsius|percent|bytes|bar|mm_per_second|seconds|bytes_per_second))\b/)?.[1] ?? '';
}
