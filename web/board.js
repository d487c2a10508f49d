// The board: one EventSource, three views. It uses the public API and nothing else; what people do
// with alerts is in attend.js, what has become of one in history.js, who they are in login.js, who
// else is there in presence.js, and queries that are typed by hand in query.js.
//
//   alerts/active      state    the rows of the board
//   alerts/events/**   stream   the list of transitions
//   samples/**         state    the live values
//
// Where nothing fires, `$sys/server` is asked whether anything could. All paths are relative to the
// page, so that it works below any path that a proxy gives it.
//
// Events only change plain objects and mark what is stale; the page is brought up to date once
// per frame. So a thousand values a second cost no more than what is visible of them.

import { openAcknowledge, openSilence, takeBack } from './attend.js';
import { noteChange, openHistory } from './history.js';
import { askWho, begin, isUnknown, lacks, refusal } from './login.js';
import {
  askForPresence, beginPresence, keepPresence, onPresence, PRESENCE, setPresenceLive, tickPresence,
} from './presence.js';
import { beginQueries, suggest } from './query.js';
import { age, setText, steady, visible } from './text.js';

const TOPICS = ['alerts/active', 'alerts/events/**', 'samples/**'];
const EVENT_TYPES = [
  'alert.pending', 'alert.inactive', 'alert.firing', 'alert.data_lost', 'alert.resolved',
  'alert.acknowledged', 'alert.unacknowledged',
];

const TRANSITIONS_MAX = 60;
/** Rows that are shown of a storm; the rest is counted. */
const ALERTS_SHOWN_MAX = { firing: 300, pending: 50, muted: 100, resolved: 30 };
const SERIES_SHOWN_MAX = 48;
const VALUES_KEPT_MAX = 60;
/** So much of what is remembered of the series is asked for when the page opens: it comes for each of
 * them, and there may be very many. */
const HISTORY = '1m';
/** A series is silent when it has missed so many turns, and for so long. */
const SILENT_TURNS_MIN = 4;
const SILENCE_MIN_MS = 5_000;
/** Silent for this many heartbeats: the connection may be dead without anybody having noticed. */
const SILENT_INTERVALS_MAX = 2.5;
/** A server that is there has answered by then; one that has not much later is asked anew. */
const ANSWER_MAX_MS = 5_000;
const ASK_AGAIN_MS = 30_000;
const RECONNECT_MS = { min: 1_000, max: 30_000 };
const ANNOUNCE_EVERY_MS = 2_000;
const FIGURES_EVERY_MS = 5_000;

/** Alerts for each of which a millisecond passes before all are put in order again. */
const ORDERED_IN_MS = 20;
const ORDER_WAITS_MAX_MS = 2_000;

/** Characters that fit anywhere on the page. */
const SHORT_MAX = 30;

const $ = (id) => document.getElementById(id);
const clone = (id) => $(id).content.firstElementChild.cloneNode(true);

/** Text that may be cut off on the page: what is cut off is told when it is pointed at. */
function setLong(element, text) {
  setText(element, text);
  const title = text.length > SHORT_MAX ? text : '';
  if (element.title !== title) element.title = title;
}

/** Makes `wanted` the children of the list, and moves none that are in order already. */
function setChildren(list, wanted) {
  const kept = new Set(wanted);
  for (const child of [...list.children]) if (!kept.has(child)) child.remove();
  wanted.forEach((child, index) => {
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
  });
}

function setData(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

// ---------------------------------------------------------------------------- time

/** The server's clock minus this one's, where they differ by more than its answers tell; ages are in the
 * server's time. Times of events do not tell: a value may be old, or of a sensor whose clock is ahead. */
let skewMs = 0;
const SKEW_MIN_MS = 1_500;
/** When this page began by a clock that may be set. */
let clockBegan = Date.now() - performance.now();

/** The server says that it is this time, to the second, half way between question and answer. */
function onServerTime(time, halfWay) {
  const skew = time + 500 - halfWay;
  clockBegan = Date.now() - performance.now();
  if (Math.abs(skew) < SKEW_MIN_MS) skewMs = 0;
  else if (Math.abs(skew - skewMs) > SKEW_MIN_MS) skewMs = skew;
}

/** This machine's clock may be set while the page is open. */
function noteClock() {
  const began = Date.now() - performance.now();
  if (Math.abs(began - clockBegan) < SKEW_MIN_MS) return;
  clockBegan = began;
  askWho();
}

const serverNow = () => Date.now() + skewMs;

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/** The time of today's, the day of others. */
function when(time) {
  const isToday = new Date(time).toDateString() === new Date(serverNow()).toDateString();
  return (isToday ? clock : day).format(time);
}

// ---------------------------------------------------------------------------- numbers

const digits = new Intl.NumberFormat('en', { maximumSignificantDigits: 4 });
const fixed = new Intl.NumberFormat('en', { maximumFractionDigits: 1, minimumFractionDigits: 1 });

/** Beyond these a number is written as a power of ten: its digits would fill the page. */
const PLAIN = { least: 1e-4, most: 1e9 };

function number(value, format = digits) {
  const size = Math.abs(value);
  if (size === 0 || (size >= PLAIN.least && size < PLAIN.most)) return format.format(value);
  return value.toExponential(3).replace(/\.?0*e\+?/, 'e');
}

const UNITS = [
  ['_bytes_per_second', (v) => `${bytes(v)}/s`],
  ['_bytes', (v) => bytes(v)],
  ['_celsius', (v) => `${number(v, fixed)} °C`],
  ['_percent', (v) => `${number(v, fixed)} %`],
  ['_bar', (v) => `${number(v)} bar`],
  ['_mm_per_second', (v) => `${number(v)} mm/s`],
  ['_seconds', (v) => `${number(v)} s`],
];

function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const size = Math.abs(value);
  const step = size < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(size) / 10));
  return `${number(value / 1024 ** step)} ${units[step]}`;
}

function quantity(metric, value) {
  if (typeof value !== 'number') return String(value);
  const unit = UNITS.find(([suffix]) => metric.endsWith(suffix));
  return unit ? unit[1](value) : number(value);
}

// ---------------------------------------------------------------------------- severities

const SIGNS = {
  critical: 'M8.3 2.5h7.4l5.8 5.8v7.4l-5.8 5.8H8.3l-5.8-5.8V8.3zM11 6.5v7h2v-7zm0 9v2h2v-2z',
  warning: 'M12 2.8 22.5 21h-21zM11 9.5v5.5h2V9.5zm0 7v2h2v-2z',
  info: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm-1 8.5V17h2v-6.5zM11 7v2h2V7z',
  resolved: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm-1.5 14.3 6.7-6.7-1.4-1.4-5.3 5.3-2.3-2.3-1.4 1.4z',
  acknowledged: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm0 4a3.2 3.2 0 1 0 0 6.4A3.2 3.2 0 0 0 12 6zm0 8c-2.7 0-5 1.3-5.6 3.2A8 8 0 0 0 12 20a8 8 0 0 0 5.6-2.8C17 15.3 14.7 14 12 14z',
  data_lost: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm0 2.2a7.8 7.8 0 1 0 0 15.6 7.8 7.8 0 0 0 0-15.6zM7 11h10v2H7z',
  quiet: 'm9.5 16.6-4.1-4.1 1.4-1.4 2.7 2.7 7.7-7.7 1.4 1.4z',
  unsure: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm0 2.2a7.8 7.8 0 1 0 0 15.6 7.8 7.8 0 0 0 0-15.6zM11 15.8h2v2h-2zM12 6.2a3.6 3.6 0 0 1 3.6 3.5c0 2-2.6 2.5-2.6 4.3h-2c0-2.8 2.6-3 2.6-4.3a1.6 1.6 0 0 0-3.2 0h-2A3.6 3.6 0 0 1 12 6.2z',
  sent: 'M3 20.5 21.5 12 3 3.5v6.6L15 12 3 13.9z',
  failed: 'M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zM8.5 7 7 8.5l3.5 3.5L7 15.5 8.5 17l3.5-3.5 3.5 3.5 1.5-1.5-3.5-3.5L17 8.5 15.5 7 12 10.5z',
  gap: 'M3 11h5v2H3zm13 0h5v2h-5zM10.5 5h3v3h-3zm0 11h3v3h-3z',
};
const RANKS = new Map(Object.entries({ critical: 0, error: 1, high: 1, warning: 2, medium: 2, info: 3 }));
const rank = (severity) => RANKS.get(severity) ?? 4;

/** The three looks that all severities share out between them. */
function look(severity) {
  const place = rank(severity);
  return place <= 1 ? 'critical' : place === 2 ? 'warning' : 'info';
}

function setSign(element, look) {
  const path = element.querySelector('path');
  if (path.getAttribute('d') !== SIGNS[look]) path.setAttribute('d', SIGNS[look]);
}

// ---------------------------------------------------------------------------- alerts

/** By fingerprint: { alert, generation, row }. */
const alerts = new Map();
const staleAlerts = new Set();
let orderIsStale = true;
let orderShownAt = -Infinity;

function onAlert(fingerprint, alert) {
  if (!alert) return removeAlert(fingerprint);
  const known = alerts.get(fingerprint);
  alerts.set(fingerprint, { alert, generation, row: known?.row ?? null });
  staleAlerts.add(fingerprint);
  noteTransitions(alert);
  noteChange(alert);
  if (known?.alert.state !== alert.state || since(known.alert) !== since(alert)) {
    orderIsStale = true;
    if (isLive && alert.state === 'firing') announce(alert);
  }
  schedule();
}

function removeAlert(fingerprint) {
  alerts.delete(fingerprint);
  staleAlerts.delete(fingerprint);
  orderIsStale = true;
  schedule();
}

/** What tells it from other alerts of its rule. */
const ownLabels = ({ labels }) =>
  Object.entries(labels).filter(([name]) => name !== 'alertname' && name !== 'severity');

const since = (alert) =>
  alert.state === 'resolved' ? alert.resolved_at : (alert.fired_at ?? alert.active_at);

const stateText = ({ state }) => state.replace('_', ' ');

const isTaken = ({ state }) => Number(state === 'acknowledged');

/** Worst first, of those what nobody has taken up, then newest. */
function inOrder({ alert: a }, { alert: b }) {
  const worse = a.state === 'resolved' ? 0 : rank(a.severity) - rank(b.severity);
  return worse || isTaken(a) - isTaken(b) || since(b) - since(a) || (a.fingerprint < b.fingerprint ? -1 : 1);
}

/** A state that is not known here is shown with what is firing: it is better seen than missed. */
const GROUPS = { pending: 'pending', resolved: 'resolved', silenced: 'muted', inhibited: 'muted' };
const group = ({ state }) => GROUPS[state] ?? 'firing';

function showAlerts(now) {
  // To put very many in order takes a while: it is done as often as leaves time for all else.
  const waits = orderIsStale && now - orderShownAt < Math.min(alerts.size / ORDERED_IN_MS, ORDER_WAITS_MAX_MS);
  if (waits) setTimeout(schedule, ORDER_WAITS_MAX_MS / 4);
  else if (orderIsStale) {
    orderShownAt = now;
    showOrder();
  }
  for (const fingerprint of staleAlerts) {
    const { alert, row } = alerts.get(fingerprint);
    if (row) fillAlertRow(row, alert);
  }
  staleAlerts.clear();
}

function showOrder() {
  orderIsStale = false;
  const groups = { firing: [], pending: [], muted: [], resolved: [] };
  const counts = { critical: 0, warning: 0, info: 0 };
  for (const entry of alerts.values()) {
    groups[group(entry.alert)].push(entry);
    if (group(entry.alert) === 'firing') counts[look(entry.alert.severity)] += 1;
  }
  let hiddenCount = 0;
  for (const [name, entries] of Object.entries(groups)) {
    const shown = entries.sort(inOrder).slice(0, ALERTS_SHOWN_MAX[name]);
    for (const entry of shown) {
      entry.row ??= newAlertRow(entry.alert);
      staleAlerts.add(entry.alert.fingerprint);
    }
    setChildren(document.querySelector(`#alerts [data-group="${name}"]`), shown.map(({ row }) => row));
    if (name === 'firing' || name === 'pending') hiddenCount += entries.length - shown.length;
  }
  for (const [name, count] of Object.entries(counts)) {
    // That there are none is known only while something would say so.
    setText($(`count-${name}`), count > 0 || isLive ? String(count) : '–');
    $(`count-${name}`).parentElement.classList.toggle('none', count === 0);
  }
  const firing = groups.firing.length;
  mutedCount = groups.muted.length;
  $('quiet').hidden = firing > 0;
  showQuiet();
  $('more-alerts').hidden = hiddenCount === 0;
  setText($('more-alerts'), `${hiddenCount} more are not shown.`);
  for (const name of ['muted', 'resolved']) {
    $(name).hidden = groups[name].length === 0;
    setText($(`count-${name}`), String(groups[name].length));
  }
  // A page in the background has its title alone to say that it is blind.
  const unknown = isLive ? '' : '?';
  document.title = firing > 0 || unknown ? `(${firing || ''}${unknown}) Bellwire` : 'Bellwire';
}

// ---------------------------------------------------------------------------- silence

/** The server's figures by name; nothing while they are not known. */
let figures = null;
let figuresAskedAt = -Infinity;
/** Alerts that fire and are kept quiet. */
let mutedCount = 0;

/** That nothing fires is good news only where something could. */
function quiet() {
  if (isUnknown()) return ['unsure', 'Nobody is logged in. What is firing now is not known.'];
  if (refused) return ['unsure', `Nothing is shown: ${refused}.`];
  if (generation === 0) return ['unsure', 'Connecting. What is firing is not known yet.'];
  if (!isLive) return ['unsure', 'Not connected. What is firing now is not known.'];
  if (lacks('admin')) return ['unsure', 'No alert that you may see is firing. Whether rules are loaded and samples come is for administrators to see.'];
  if (!figures) return ['unsure', 'No alert has come. Whether rules are loaded is not known yet.'];
  if (figures.get('bellwire_journal_failing')) return ['unsure', 'The server cannot write its journal, so new alerts are not told: its log says why.'];
  const rules = figures.get('bellwire_rules_loaded') ?? 0;
  const of = rules === 1 ? 'one rule' : `${rules} rules`;
  if (rules === 0) return ['unsure', 'No rules are loaded, so only alerts that others post can fire. Give the server some with --rules.'];
  if ((figures.get('bellwire_rule_series') ?? 0) > 0) {
    const but = mutedCount > 0 ? ' but what is silenced or inhibited' : '';
    const old = figures.get('bellwire_reload_failing') ? ' The rules are older than their files, which are wrong: the log says where.' : '';
    return ['quiet', `Nothing is firing${but}.${old}`];
  }
  if ((figures.get('bellwire_samples_accepted_total') ?? 0) > 0) return ['unsure', `Samples come, but none of late that a rule asks for; ${of} loaded.`];
  return ['unsure', `No samples have come yet; ${of} loaded and waiting for them.`];
}

function showQuiet() {
  const [state, text] = quiet();
  const element = $('quiet');
  setData(element, 'state', state);
  setSign(element, state);
  setText(element.querySelector('span'), text);
}

async function askFigures() {
  if (lacks('admin')) return showQuiet();
  figuresAskedAt = performance.now();
  try {
    const { events } = await (await fetch('v1/topics/$sys/server')).json();
    figures = new Map(events.map(({ key, data }) => [key, data]));
    // The server counts once a second: before it has, nothing is known.
    if (!figures.has('bellwire_rules_loaded')) figures = null;
  } catch {
    figures = null;
  }
  showQuiet();
}

/** Asks again now and then, as long as there is somebody to see it. */
function checkFigures() {
  const isDue = performance.now() - figuresAskedAt > (figures ? FIGURES_EVERY_MS : 1000);
  if (isLive && isDue && !$('quiet').hidden && !document.hidden) askFigures();
}

// ---------------------------------------------------------------------------- rows

function newAlertRow(alert) {
  const row = clone('alert-row');
  row.dataset.alert = alert.fingerprint;
  row.dataset.severity = look(alert.severity);
  setLong(row.querySelector('.severity'), visible(alert.severity));
  setText(row.querySelector('.name b'), visible(alert.labels.alertname ?? 'without a name'));
  row.querySelector('.labels').append(...ownLabels(alert).map(([name, value]) => {
    const label = document.createElement('li');
    setLong(label, `${name}=${visible(value)}`);
    return label;
  }));
  const current = () => alerts.get(alert.fingerprint)?.alert ?? alert;
  row.querySelector('.acknowledge').addEventListener('click', () => openAcknowledge(current()));
  row.querySelector('.take-back').addEventListener('click', () => takeBack(current()));
  row.querySelector('.silence').addEventListener('click', () => openSilence(current()));
  row.querySelector('.look-back').addEventListener('click', () => openHistory(current(), { look, setSign, quantity, now: serverNow }));
  return row;
}

/** Who attends to it, and what keeps it quiet. */
function attention({ acknowledged, silenced_by: silences, more_silences: hasMore, inhibited_by: inhibitors }) {
  const parts = [];
  if (acknowledged) parts.push(`${acknowledged.by} has it${acknowledged.note ? `: ${acknowledged.note}` : ''}`);
  if (silences) parts.push(silences.length === 1 ? 'silenced' : `silenced by ${silences.length}${hasMore ? ' and more' : ''}`);
  if (inhibitors) {
    const names = inhibitors.map((id) => alerts.get(id)?.alert.labels.alertname ?? id);
    parts.push(`inhibited by ${[...new Set(names)].join(', ')}`);
  }
  return parts.join(' · ');
}

function fillAlertRow(row, alert) {
  setData(row, 'state', alert.state);
  setSign(row, SIGNS[alert.state] ? alert.state : look(alert.severity));
  setLong(row.querySelector('.summary'), steady(alert.annotations.summary ?? ''));
  setLong(row.querySelector('.more'), steady(alert.annotations.description ?? ''));
  setText(row.querySelector('.value'), alert.value === undefined ? '' : quantity('', alert.value));
  setText(row.querySelector('.attention'), steady(attention(alert)));
  const isRaised = alert.state !== 'pending' && alert.state !== 'resolved';
  // What is pending has no history yet.
  row.querySelector('.actions').hidden = alert.state === 'pending' || isUnknown();
  const isAttended = isRaised && !lacks('attend');
  row.querySelector('.acknowledge').hidden = !isAttended || Boolean(alert.acknowledged);
  row.querySelector('.take-back').hidden = !isAttended || !alert.acknowledged;
  row.querySelector('.silence').hidden = !isAttended;
  setText(row.querySelector('.state'), stateText(alert));
  const time = row.querySelector('.age');
  time.dateTime = new Date(since(alert)).toISOString();
  time.title = `${alert.state === 'data_lost' ? 'fired' : alert.state} since ${new Date(since(alert)).toLocaleString()}`;
  setText(time, age(serverNow() - since(alert)));
}

// ---------------------------------------------------------------------------- announcements

const toAnnounce = [];

/** For those who listen: short, together, and at once only for what is critical. */
function announce(alert) {
  toAnnounce.push({ name: alert.labels.alertname, look: look(alert.severity) });
}

function announceAll() {
  const critical = toAnnounce.filter((alert) => alert.look === 'critical');
  const others = toAnnounce.filter((alert) => alert.look !== 'critical');
  toAnnounce.length = 0;
  const sentence = (list, kind) => {
    const names = [...new Set(list.map((alert) => alert.name))].slice(0, 3).join(', ');
    return `${list.length} new ${kind}${list.length === 1 ? 'alert' : 'alerts'}: ${names}`;
  };
  if (critical.length > 0) setText($('announce-critical'), sentence(critical, 'critical '));
  if (others.length > 0) setText($('announce'), sentence(others, ''));
}

// ---------------------------------------------------------------------------- transitions

/** Newest first: { id, time, kind, name, severity, summary }. */
let transitions = [];
const transitionIds = new Set();
let transitionsAreStale = false;

/** What the board knows of an alert's past: so the list is not empty when the page opens. */
function noteTransitions(alert) {
  if (alert.fired_at) noteTransition(alert, 'firing', alert.fired_at);
  if (alert.resolved_at) noteTransition(alert, 'resolved', alert.resolved_at);
}

/** The board's alert does not say when its data was lost; the transition does. */
function onTransition(alert, time) {
  noteTransitions(alert);
  if (alert.state === 'data_lost') noteTransition(alert, 'data_lost', time);
  if (alert.acknowledged) noteAcknowledgement(alert);
}

function noteAcknowledgement(alert) {
  const { by, note, at } = alert.acknowledged;
  const id = `${alert.fingerprint}-${at}-acknowledged`;
  const summary = note ? `${by}: ${note}` : by;
  const { severity, labels: { alertname: name } } = alert;
  addTransition({ id, time: at, kind: 'acknowledged', name, severity, summary });
}

function noteTransition(alert, kind, time) {
  const again = kind === 'data_lost' ? `-${time}` : '';
  const id = `${alert.fingerprint}-${alert.active_at}-${kind}${again}`;
  const name = alert.labels.alertname;
  const where = ownLabels(alert).map(([, value]) => visible(value)).join(' · ');
  const lasted = kind === 'resolved' && alert.fired_at ? ` after ${age(time - alert.fired_at)}` : '';
  const summary = kind === 'firing' ? (alert.annotations.summary ?? where) : where + lasted;
  addTransition({ id, time, kind, name, severity: alert.severity, summary });
}

function addTransition(transition) {
  if (transitionIds.has(transition.id)) return;
  const place = transitions.findIndex((other) => other.time <= transition.time);
  const index = place === -1 ? transitions.length : place;
  if (index >= TRANSITIONS_MAX) return;
  transitionIds.add(transition.id);
  transitions.splice(index, 0, transition);
  for (const gone of transitions.splice(TRANSITIONS_MAX)) transitionIds.delete(gone.id);
  transitionsAreStale = true;
  schedule();
}

const VERBS = { firing: 'fires', acknowledged: 'is acknowledged', data_lost: 'is silent', resolved: 'resolved', gap: '' };

function showTransitions() {
  transitionsAreStale = false;
  const list = $('transitions');
  const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
  setChildren(list, transitions.map((transition) =>
    rows.get(transition.id) ?? newTransitionRow(transition)));
  $('no-transitions').hidden = transitions.length > 0 || generation === 0;
}

function newTransitionRow({ id, time, kind, name, severity, summary }) {
  const row = clone('transition-row');
  row.dataset.id = id;
  row.dataset.kind = kind;
  const appearance = kind === 'firing' ? look(severity) : kind;
  row.dataset.severity = appearance;
  setSign(row, appearance);
  const element = row.querySelector('time');
  element.dateTime = new Date(time).toISOString();
  element.title = new Date(time).toLocaleString();
  setText(element, when(time));
  setText(row.querySelector('b'), visible(name));
  setText(row.querySelector('.verb'), VERBS[kind]);
  setLong(row.querySelector('.summary'), steady(summary));
  return row;
}

// ---------------------------------------------------------------------------- samples

/** By metric name: { name, series: Map(key → series), found: shown by the search, card, … }. */
const metrics = new Map();
let query = [];
let listsAreStale = true;

function onSample(metricName, key, sample) {
  let metric = metrics.get(metricName);
  if (!sample) {
    if (metric?.series.get(key)) removeSeries(metric, metric.series.get(key));
    return;
  }
  if (!metric) {
    metric = { name: metricName, series: new Map(), card: null, isStale: true, showsAll: false };
    metrics.set(metricName, metric);
    listsAreStale = true;
  }
  let series = metric.series.get(key);
  if (!series) {
    const text = Object.values(sample.labels).map(visible).join(' · ') || metricName;
    metric.labels ??= Object.keys(sample.labels);
    const searchable = `${metricName} ${key}`.toLowerCase();
    series = { key, text, searchable, values: [], row: null, isStale: true, everyMs: null, cameAt: null };
    metric.series.set(key, series);
    listsAreStale = true;
  }
  // Only what comes live tells how often it comes.
  if (isLive) {
    const now = performance.now();
    if (series.cameAt !== null) series.everyMs = Math.max(now - series.cameAt, series.everyMs * 0.9);
    series.cameAt = now;
  }
  series.generation = generation;
  series.value = sample.value;
  if (typeof sample.value === 'number') {
    series.values.push(sample.value);
    if (series.values.length > VALUES_KEPT_MAX) series.values.shift();
  }
  series.isStale = true;
  metric.isStale = true;
  schedule();
}

function removeSeries(metric, series) {
  series.row?.remove();
  metric.series.delete(series.key);
  if (metric.series.size === 0) {
    metrics.delete(metric.name);
  }
  metric.isStale = true;
  listsAreStale = true;
}

const matches = (series) => query.every((word) => series.searchable.includes(word));

/** Which cards and rows there are; done at most once a second, values change far more often. */
function showLists() {
  listsAreStale = false;
  const sorted = [...metrics.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  let shown = 0;
  let all = 0;
  for (const metric of sorted) {
    metric.card ??= newMetricCard(metric);
    metric.found = [...metric.series.values()].filter(matches).sort((a, b) => (a.key < b.key ? -1 : 1));
    metric.card.hidden = metric.found.length === 0;
    all += metric.series.size;
    shown += metric.found.length;
    metric.isStale = true;
    if (metric.card.open) showRows(metric);
  }
  setChildren($('metrics'), sorted.map(({ card }) => card));
  $('live-query').hidden = lacks('query');
  suggest(sorted.map(({ name, series, labels }) => ({ name, count: series.size, labels: labels ?? [] })));
  $('no-samples').hidden = all > 0 || generation === 0;
  setText($('series-count'), query.length > 0 ? `${shown} of ${all} series` : `${all} series`);
}

function newMetricCard(metric) {
  const card = clone('metric-card');
  setLong(card.querySelector('.metric-name'), metric.name);
  card.addEventListener('toggle', () => showRows(metric));
  card.querySelector('.show-all').addEventListener('click', () => {
    metric.showsAll = true;
    showRows(metric);
  });
  return card;
}

function showRows(metric) {
  const list = metric.card.querySelector('.series');
  const most = metric.showsAll ? Infinity : SERIES_SHOWN_MAX;
  const rows = metric.card.open ? metric.found.slice(0, most) : [];
  for (const series of metric.series.values()) series.isShown = false;
  for (const series of rows) {
    series.row ??= newSeriesRow(series);
    series.isShown = true;
    series.isStale = true;
  }
  list.replaceChildren(...rows.map((series) => series.row));
  const button = metric.card.querySelector('.show-all');
  button.hidden = !metric.card.open || rows.length === metric.found.length;
  setText(button, `Show all ${metric.found.length}`);
  metric.isStale = true;
  schedule();
}

function newSeriesRow(series) {
  const row = clone('series-row');
  setText(row.querySelector('.series-labels span'), series.text);
  row.querySelector('.series-labels').title = visible(series.key);
  return row;
}

/** How long a series has been silent, where that is longer than it usually is. */
function silentMs(series) {
  const silent = performance.now() - series.cameAt;
  const usual = Math.max(SILENCE_MIN_MS, series.everyMs * SILENT_TURNS_MIN);
  return isLive && series.everyMs !== null && silent > usual ? silent : 0;
}

function showSilence() {
  for (const metric of metrics.values()) {
    const silent = (metric.found ?? []).filter((series) => silentMs(series) > 0);
    if (silent.length !== metric.silentCount) {
      metric.silentCount = silent.length;
      metric.isStale = true;
      schedule();
    }
    if (!metric.card?.open) continue;
    for (const series of metric.found.filter((series) => series.isShown)) {
      const ms = silentMs(series);
      series.row.toggleAttribute('data-silent', ms > 0);
      setText(series.row.querySelector('.series-silent'), ms > 0 ? `silent for ${age(ms)}` : '');
    }
  }
}

function showSamples() {
  for (const metric of metrics.values()) {
    if (!metric.isStale || !metric.card || metric.card.hidden) continue;
    metric.isStale = false;
    if (metric.card.open) {
      for (const series of metric.found) if (series.isShown && series.isStale) showSeries(metric, series);
    }
    showMetric(metric);
  }
}

function showSeries(metric, series) {
  series.isStale = false;
  setText(series.row.querySelector('.series-value'), quantity(metric.name, series.value));
  drawLine(series.row.querySelector('canvas'), series.values);
}

function showMetric({ name, card, found, silentCount }) {
  const canvas = card.querySelector('summary canvas');
  const silent = silentCount > 0 ? `, ${silentCount} silent` : '';
  if (found.length === 1) {
    setText(card.querySelector('.metric-count'), found[0].text + (silent && ', silent'));
    setText(card.querySelector('.metric-value'), quantity(name, found[0].value));
    setText(card.querySelector('.least'), '');
    setText(card.querySelector('.most'), '');
    drawLine(canvas, found[0].values);
    return;
  }
  setText(card.querySelector('.metric-count'), `median of ${found.length}${silent}`);
  const values = found.map((series) => series.value).filter((value) => typeof value === 'number');
  values.sort((a, b) => a - b);
  const [least, median, most] = [values[0], values[values.length >> 1], values[values.length - 1]];
  setText(card.querySelector('.metric-value'), values.length > 0 ? quantity(name, median) : '');
  const bound = (value) => (name.includes('_bytes') ? quantity(name, value) : number(value));
  setText(card.querySelector('.least'), values.length > 0 ? bound(least) : '');
  setText(card.querySelector('.most'), values.length > 0 ? bound(most) : '');
  drawDots(canvas, values);
}

// ---------------------------------------------------------------------------- plots

const colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['plot', 'plot-dot', 'plot-rest']) colours[name] = style.getPropertyValue(`--${name}`);
  for (const metric of metrics.values()) {
    metric.isStale = true;
    for (const series of metric.series.values()) series.isStale = true;
  }
}

function prepare(canvas) {
  canvas.ratio ??= { width: canvas.width, height: canvas.height };
  const { width, height } = canvas.ratio;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** The newest values of one series, the last one marked. */
function drawLine(canvas, values) {
  const { context, width, height } = prepare(canvas);
  if (values.length < 2) return;
  const least = Math.min(...values);
  const span = Math.max(...values) - least;
  const x = (index) => 3 + (index * (width - 6)) / (VALUES_KEPT_MAX - 1);
  const y = (value) => (span > 0 ? height - 3 - ((value - least) / span) * (height - 6) : height / 2);
  const shift = VALUES_KEPT_MAX - values.length;
  context.beginPath();
  values.forEach((value, index) => context.lineTo(x(index + shift), y(value)));
  context.strokeStyle = colours.plot;
  context.lineWidth = 1.25;
  context.lineJoin = 'round';
  context.stroke();
  context.beginPath();
  context.arc(x(VALUES_KEPT_MAX - 1), y(values.at(-1)), 2, 0, Math.PI * 2);
  context.fillStyle = colours.plot;
  context.fill();
}

/** Where each of many series stands between the least and the most. */
function drawDots(canvas, values) {
  const { context, width, height } = prepare(canvas);
  if (values.length === 0) return;
  const least = values[0];
  const span = values[values.length - 1] - least || 1;
  context.fillStyle = colours['plot-rest'];
  context.fillRect(3, height / 2 - 0.5, width - 6, 1);
  context.fillStyle = colours['plot-dot'];
  for (const value of values) {
    context.beginPath();
    context.arc(4 + ((value - least) / span) * (width - 8), height / 2, 3, 0, Math.PI * 2);
    context.fill();
  }
}

// ---------------------------------------------------------------------------- frames

let isScheduled = false;
let listsShownAt = 0;

function schedule() {
  if (isScheduled) return;
  isScheduled = true;
  if (document.hidden) setTimeout(showFrame);
  else requestAnimationFrame(showFrame);
}

function showFrame() {
  if (!isScheduled) return;
  isScheduled = false;
  const now = performance.now();
  if (listsAreStale && now - listsShownAt > 1000) {
    listsShownAt = now;
    showLists();
  }
  if (staleAlerts.size > 0 || orderIsStale) showAlerts(now);
  if (transitionsAreStale) showTransitions();
  showSamples();
}

// No frames come to a page in the background, whose title tells what fires all the same.
document.addEventListener('visibilitychange', () => document.hidden && showFrame());

function tick() {
  noteClock();
  for (const { alert, row } of alerts.values()) {
    if (row?.isConnected) setText(row.querySelector('.age'), age(serverNow() - since(alert)));
  }
  showSilence();
  showLastEvent();
  tickPresence();
  checkSilence();
  checkFigures();
  if (listsAreStale) schedule();
}

// ---------------------------------------------------------------------------- connection

let source = null;
let cursor = '';
/** Counts how often all values came anew: what does not come with them before `ready` is gone. */
let generation = 0;
/** Whether they are coming, be it on more than one connection: else what has changed comes, and what
 * is gone. */
let beginsAnew = true;
let isLive = false;
let failures = 0;
let gapCount = 0;
let lastEventAt = null;
/** When the server was last heard of, or asked for a stream. */
let heardAt = -Infinity;
let isAsking = false;
let silenceMaxMs = 60_000;
let reopening = null;
/** Why the stream is refused for good, where it is. */
let refused = '';

const STATES = {
  connecting: 'Connecting', live: 'Live', reconnecting: 'Reconnecting', refused: 'Refused', unknown: 'Not logged in',
};

function setState(state) {
  isLive = state === 'live';
  setPresenceLive(isLive);
  const element = $('connection');
  setData(element, 'state', state);
  setText(element.querySelector('.state'), STATES[state]);
  orderIsStale = true;
  schedule();
}

/** Where the stream is, from what has come of it on. */
function streamPath() {
  const parameters = new URLSearchParams(TOPICS.map((topic) => ['topic', topic]));
  parameters.set('state', 'changes');
  // So that lines are full when the page opens; who comes back has them.
  if (!cursor) parameters.set('history', HISTORY);
  if (cursor) parameters.set('after', cursor);
  askForPresence(parameters, cursor !== '');
  return `v1/events?${parameters}`;
}

function open() {
  close();
  // The server would refuse it: whoever logs in has it opened.
  if (isUnknown()) return;
  heardAt = performance.now();
  isAsking = true;
  source = new EventSource(streamPath());
  source.onopen = onOpen;
  source.onerror = onError;
  source.onmessage = onEvent;
  for (const type of EVENT_TYPES) source.addEventListener(type, onEvent);
  source.addEventListener('ready', onReady);
  source.addEventListener('gap', onGap);
  source.addEventListener('history', onHistory);
  source.addEventListener('reset', onReset);
  source.addEventListener('heartbeat', note);
  source.addEventListener('bye', onBye);
}

function close() {
  clearTimeout(reopening);
  reopening = null;
  source?.close();
}

/** Somebody is known, perhaps somebody with other rights than before. */
function onKnown(wasUnknown) {
  orderIsStale = true;
  schedule();
  if (!wasUnknown) return;
  failures = 0;
  setState(generation === 0 ? 'connecting' : 'reconnecting');
  open();
}

/** What is on the page stays, and is not live. */
function onUnknown() {
  close();
  setState('unknown');
}

function onOpen() {
  refused = '';
  // A stream that comes back may be another's: a session can end while nobody hears of it.
  if (generation > 0) askWho();
  if (!cursor) beginAnew();
  lastEventAt = heardAt = performance.now();
  isAsking = false;
}

/** The browser reconnects by itself after a broken connection, but not after an error status. */
function onError() {
  heardAt = performance.now();
  setState(refused ? 'refused' : generation === 0 ? 'connecting' : 'reconnecting');
  if (source.readyState !== EventSource.CLOSED || reopening) return;
  const bound = Math.min(RECONNECT_MS.max, RECONNECT_MS.min * 2 ** failures);
  failures += 1;
  askWhy();
  reopening = setTimeout(open, RECONNECT_MS.min + Math.random() * bound);
}

/** An EventSource hides why it was refused; requests of their own tell. */
async function askWhy() {
  await askWho();
  if (isUnknown()) return;
  refused = await refusal(streamPath(), TOPICS);
  if (refused) setState('refused');
  showQuiet();
}

function note(event) {
  lastEventAt = heardAt = performance.now();
  if (event.lastEventId) cursor = event.lastEventId;
}

function onEvent(event) {
  note(event);
  const { topic, key, time, data, deleted } = JSON.parse(event.data);
  if (topic === 'alerts/active') return onAlert(key, deleted ? null : data);
  if (topic.startsWith('alerts/events/')) return onTransition(data, time);
  if (topic === PRESENCE) return onPresence(key, deleted ? null : data, generation);
  if (topic.startsWith('samples/')) onSample(topic.slice('samples/'.length), key, deleted ? null : data);
}

/** What is remembered of a series, the newest value included, in place of it. */
function onHistory(event) {
  note(event);
  const { topic, key, data: { name, labels, values } } = JSON.parse(event.data);
  if (!topic.startsWith('samples/')) return;
  onSample(name, key, { labels, value: values.at(-1) });
  const known = metrics.get(name)?.series.get(key);
  if (known) known.values = values.filter((value) => typeof value === 'number').slice(-VALUES_KEPT_MAX);
}

function onReady(event) {
  note(event);
  failures = 0;
  silenceMaxMs = JSON.parse(event.data).heartbeat_interval_ms * SILENT_INTERVALS_MAX;
  if (beginsAnew) removeWhatDidNotCome();
  beginsAnew = false;
  // What was before may be of another process.
  figures = null;
  setState('live');
  showGaps();
  // What is empty may be said to be so now.
  transitionsAreStale = true;
  listsAreStale = true;
  askFigures();
}

/** The server does not know what has changed: all that there is comes, and what does not is gone. */
function onReset(event) {
  note(event);
  beginAnew();
}

function beginAnew() {
  generation += 1;
  beginsAnew = true;
}

function removeWhatDidNotCome() {
  for (const [fingerprint, entry] of alerts) {
    if (entry.generation !== generation) removeAlert(fingerprint);
  }
  for (const metric of [...metrics.values()]) {
    for (const series of [...metric.series.values()]) {
      if (series.generation !== generation) removeSeries(metric, series);
    }
  }
  keepPresence(generation);
}

function onGap(event) {
  note(event);
  gapCount += 1;
  const { from, to, reason } = JSON.parse(event.data);
  showGaps();
  const summary = `events after ${from} up to ${to} will not come (${reason})`;
  addTransition({ id: `gap-${gapCount}`, time: serverNow(), kind: 'gap', name: 'Gap', severity: '', summary });
}

function showGaps() {
  setText($('gaps'), gapCount === 1 ? '1 gap' : `${gapCount} gaps`);
  $('gaps').classList.toggle('some', gapCount > 0);
}

const ENDED = {
  credential_expired: 'Your session has ended.',
  credential_revoked: 'Your session was ended.',
};

function onBye(event) {
  note(event);
  setState('reconnecting');
  const ended = ENDED[JSON.parse(event.data).reason];
  if (ended) askWho(ended);
}

function showLastEvent() {
  if (lastEventAt === null) return;
  setText($('last-event'), `last event ${age(performance.now() - lastEventAt)} ago`);
}

/**
 * Heartbeats are comments, which an EventSource hides: after long silence only asking tells. Who
 * is asked may be silent, too, for as long as the network likes: then nothing is known.
 */
function checkSilence() {
  if (isUnknown()) return;
  const silentMs = performance.now() - heardAt;
  if (isLive && isAsking && silentMs > ANSWER_MAX_MS) setState('reconnecting');
  if (!reopening && silentMs > (isAsking ? ASK_AGAIN_MS : silenceMaxMs)) open();
}

// ---------------------------------------------------------------------------- start

$('search').addEventListener('input', () => {
  query = $('search').value.toLowerCase().split(/\s+/).filter(Boolean);
  showLists();
  schedule();
});

document.addEventListener('keydown', (event) => {
  const isTyping = event.target.closest('input, textarea, select');
  if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    $('search').focus();
  }
  if (event.key === 'Escape' && event.target === $('search')) {
    $('search').value = '';
    $('search').dispatchEvent(new Event('input'));
  }
});

// A page that comes back from the browser's cache has lost its connection without a word.
window.addEventListener('pageshow', (event) => event.persisted && open());
window.addEventListener('online', () => !isLive && open());
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  readColours();
  schedule();
});

$('unscripted').remove();
readColours();
setState('connecting');
setInterval(tick, 1000);
setInterval(announceAll, ANNOUNCE_EVERY_MS);
beginPresence({ reopen: open, now: serverNow });
begin({ onKnown, onUnknown, onServerTime });
beginQueries({ quantity, drawLine });
// What the stream asks for depends on what the server says of itself; if it says nothing, it comes without.
Promise.race([askWho(), new Promise((done) => setTimeout(done, ANSWER_MAX_MS))]).finally(() => source ?? open());
