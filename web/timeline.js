// One alert on an axis of time, as a drawing: what was measured, when it fired, who had it, and who was
// told. It is given what the page knows, and asks nobody.

const NS = 'http://www.w3.org/2000/svg';
const LEFT = 62;
const RIGHT = 14;
const LANE = 24;
const AXIS = 22;
const PLOT = 92;
/** What lasted for a moment is seen all the same. */
const WIDTH_MIN = 3;
/** So much room is left for a label of the axis. */
const TICK_PX = 84;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
];
const fine = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const coarse = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const days = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

function add(parent, name, attributes, title) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (title) {
    element.append(document.createElementNS(NS, 'title'));
    element.firstChild.textContent = title;
  }
  parent.append(element);
  return element;
}

/** When it fired, in stretches of one state: [{ from, to, state }]; `to` of the last may be now. */
export function stretches(events, now) {
  const found = [];
  let open = null;
  const close = (time) => {
    if (open) found.push({ ...open, to: Math.max(open.from, time) });
    open = null;
  };
  for (const { type, time, data } of [...events].reverse()) {
    if (type === 'alert.firing' || type === 'alert.data_lost') {
      close(time);
      open = { from: time, state: type === 'alert.firing' ? 'firing' : 'data_lost' };
    } else if (type === 'alert.resolved') {
      // Where its beginning is on no page yet, the end knows when it was.
      open ??= { from: data?.fired_at ?? time, state: 'firing' };
      close(data?.resolved_at ?? time);
    }
  }
  close(now);
  return found;
}

/** Who had it when: from each acknowledgement to its end. */
function holders(events, now) {
  const found = [];
  let open = null;
  for (const { type, time, data } of [...events].reverse()) {
    if (!['alert.acknowledged', 'alert.unacknowledged', 'alert.resolved'].includes(type)) continue;
    if (open) found.push({ ...open, to: time });
    open = type === 'alert.acknowledged' ? { from: time, title: `${data?.acknowledged?.by ?? 'Somebody'} has it` } : null;
  }
  if (open) found.push({ ...open, to: now });
  return found;
}

/** What was measured of the series, or where that is not known what the condition saw: [time, value]. */
function measured(events, points) {
  if (points.size > 0) return [...points].sort(([a], [b]) => a - b);
  const seen = new Map();
  for (const { type, data } of events) {
    if (type.startsWith('alert.') && typeof data?.value === 'number' && data.sample_time) seen.set(data.sample_time, data.value);
  }
  return [...seen].sort(([a], [b]) => a - b);
}

/** Where much time lies between two points, nothing is known of what was in between: the line breaks. */
function lines(points) {
  const gaps = points.slice(1).map(([time], index) => time - points[index][0]).sort((a, b) => a - b);
  const most = Math.max(5 * (gaps[gaps.length >> 1] ?? 0), 2 * SECOND);
  const found = [];
  for (const [index, point] of points.entries()) {
    if (index === 0 || point[0] - points[index - 1][0] > most) found.push([]);
    found.at(-1).push(point);
  }
  return found;
}

/** Draws into an <svg>, as wide as it is. `bound` is what the rule compares with, where that is known. */
export function drawTimeline(svg, { events, silences, points: known, now, bound, quantity }) {
  svg.replaceChildren();
  const fired = stretches(events, now);
  svg.parentElement.hidden = fired.length === 0;
  if (fired.length === 0) return;
  const points = measured(events, known);
  const letters = events.filter(({ type }) => type.startsWith('notification.'));
  const times = [...fired.flatMap(({ from, to }) => [from, to]), ...letters.map(({ time }) => time), ...points.map(([time]) => time)];
  const [least, most] = [Math.min(...times), Math.max(...times)];
  const pad = Math.max((most - least) * 0.04, SECOND / 5);
  const [from, to] = [least - pad, most + pad];
  const width = Math.max(svg.clientWidth || svg.parentElement.clientWidth, 240);
  const x = (time) => LEFT + ((Math.min(Math.max(time, from), to) - from) / (to - from)) * (width - LEFT - RIGHT);

  const quiet = silences.map(({ starts_at: start, ends_at: end, created_by: by, comment }) =>
    ({ from: start, to: Math.min(end, now), title: `Silenced by ${by}: ${comment}` })).filter((it) => it.to > from && it.from < to);
  const held = [...quiet.map((it) => ({ ...it, kind: 'silence' })), ...holders(events, now).map((it) => ({ ...it, kind: 'hold' }))];
  const lanes = [
    points.length > 1 && ['Value', PLOT, (y) => drawValues(svg, { points, bound, fired, quantity, x, y, width })],
    ['State', LANE, (y) => fired.forEach((it) => drawBar(svg, x, y, it, `band ${it.state}`, spanOf(it, now)))],
    held.length > 0 && ['People', LANE, (y) => held.forEach((it) => drawBar(svg, x, y, it, `band ${it.kind}`, it.title))],
    letters.length > 0 && ['Told', LANE, (y) => letters.forEach((it) => drawLetter(svg, x(it.time), y + LANE / 2, it))],
  ].filter(Boolean);
  const height = lanes.reduce((sum, [, high]) => sum + high, AXIS + 4);
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('height', height);
  drawAxis(svg, { from, to, x, height, width });
  let y = 4;
  for (const [name, high, draw] of lanes) {
    add(svg, 'text', { class: 'lane', x: 0, y: y + high / 2 + 4 }).textContent = name;
    draw(y);
    y += high;
  }
  const total = fired.reduce((sum, it) => sum + it.to - it.from, 0);
  svg.setAttribute('aria-label', `Fired ${fired.length === 1 ? 'once' : `${fired.length} times`}, ${lasting(total)} in all; ${letters.length} notifications.`);
}

export function lasting(ms) {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < MINUTE) return `${Math.round(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.round(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h ${Math.round((ms % HOUR) / MINUTE)} min`;
  return `${Math.round(ms / DAY)} days`;
}

const spanOf = ({ from, to, state }, now) =>
  `${state === 'firing' ? 'Fired' : 'Was silent'} ${to === now ? 'for' : ''} ${lasting(to - from)} from ${new Date(from).toLocaleString()}`.replace('  ', ' ');

function drawBar(svg, x, y, { from, to }, kind, title) {
  const width = Math.max(x(to) - x(from), WIDTH_MIN);
  add(svg, 'rect', { class: kind, x: x(from), y: y + 5, width, height: LANE - 10, rx: 3 }, title);
}

function drawLetter(svg, x, y, { type, time, data }) {
  const failed = type === 'notification.failed';
  const mark = failed ? `M${x - 4} ${y - 4}l8 8m0 -8l-8 8` : `M${x} ${y - 5.5}l5 9.5h-10z`;
  const tries = data?.attempts > 1 ? `, ${data.attempts} attempts` : '';
  add(svg, 'path', { class: failed ? 'letter failed' : 'letter', d: mark },
    `${data?.receiver ?? 'A webhook'} ${failed ? 'could not be told' : 'was told'} at ${fine.format(time)}${tries}`);
}

function drawValues(svg, { points, bound, fired, quantity, x, y, width }) {
  const values = points.map(([, value]) => value).concat(bound ?? []);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const span = most - least || Math.abs(most) || 1;
  const place = (value) => y + 10 + (1 - (value - least) / span) * (PLOT - 26);
  for (const { from, to, state } of fired) {
    add(svg, 'rect', { class: `shade ${state}`, x: x(from), y, width: Math.max(x(to) - x(from), WIDTH_MIN), height: PLOT - 6 });
  }
  if (bound !== undefined) {
    add(svg, 'line', { class: 'bound', x1: LEFT, x2: width - RIGHT, y1: place(bound), y2: place(bound) });
    add(svg, 'text', { class: 'bound-text', x: width - RIGHT, y: place(bound) - 4, 'text-anchor': 'end' }).textContent = quantity(bound);
  }
  for (const line of lines(points)) {
    add(svg, 'polyline', { class: 'values', points: line.map(([time, value]) => `${x(time).toFixed(1)},${place(value).toFixed(1)}`).join(' ') });
  }
  const dots = points.length > 60 ? points.slice(-1) : points;
  for (const [time, value] of dots) {
    add(svg, 'circle', { class: 'value', cx: x(time), cy: place(value), r: 2.5 }, `${quantity(value)} at ${fine.format(time)}`);
  }
}

function drawAxis(svg, { from, to, x, height, width }) {
  const wanted = Math.max(1, Math.floor((width - LEFT - RIGHT) / TICK_PX));
  const step = STEPS.find((step) => (to - from) / step <= wanted) ?? STEPS.at(-1);
  const zone = new Date(from).getTimezoneOffset() * MINUTE;
  const format = step >= DAY ? days : step >= MINUTE ? coarse : fine;
  const first = Math.ceil((from - zone) / step) * step + zone;
  for (let time = first; time <= to; time += step) {
    add(svg, 'line', { class: 'tick', x1: x(time), x2: x(time), y1: 4, y2: height - AXIS });
    const anchor = x(time) > width - RIGHT - 24 ? 'end' : x(time) < LEFT + 20 ? 'start' : 'middle';
    add(svg, 'text', { class: 'tick-text', x: x(time), y: height - 6, 'text-anchor': anchor }).textContent = format.format(time);
  }
}
