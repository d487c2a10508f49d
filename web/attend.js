// What people do with an alert: acknowledge it, take that back, silence it. Two dialogs that
// speak to the public API; what comes of it is shown when the board hears of it.

const $ = (id) => document.getElementById(id);

/** Waits for a pause in typing before the preview is asked for. */
const PREVIEW_PAUSE_MS = 200;
const AUTHOR = 'bellwire-author';

/** The alert that a dialog is about. */
let attended = null;
let previewTimer = null;
/** The matchers of the last preview, as the API takes them; nothing while they are wrong. */
let matchers = null;

export function openAcknowledge(alert) {
  open($('acknowledge'), alert);
}

export function openSilence(alert) {
  open($('silence'), alert);
  const text = Object.entries(alert.labels).map(([name, value]) => `${quoted(name)}=${JSON.stringify(value)}`);
  $('silence').elements.matchers.value = `{${text.join(',')}}`;
  preview();
}

export async function takeBack(alert) {
  const answer = await fetch(`/v1/alerts/${alert.fingerprint}/ack`, { method: 'DELETE' });
  if (!answer.ok) console.error(await reason(answer));
}

/** Names that the syntax of matchers cannot hold as they are stand in quotes. */
const quoted = (name) => (/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name) ? name : JSON.stringify(name));

function open(form, alert) {
  attended = alert;
  form.reset();
  form.elements.author.value = localStorage.getItem(AUTHOR) ?? '';
  form.querySelector('.subject').textContent = alert.labels.alertname ?? alert.fingerprint;
  showError(form, '');
  form.closest('dialog').showModal();
  (form.elements.author.value ? form.elements.comment : form.elements.author).focus();
}

/** Sends what a dialog asks for, and closes it once the server has done it. */
async function send(form, path, body) {
  localStorage.setItem(AUTHOR, form.elements.author.value);
  const button = form.querySelector('[type="submit"]');
  button.disabled = true;
  try {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
    if (answer.ok) form.closest('dialog').close();
    else showError(form, await reason(answer));
  } catch {
    showError(form, 'The server cannot be reached.');
  } finally {
    button.disabled = false;
  }
}

/** A problem's detail, or the text that Alertmanager's API answers with. */
async function reason(answer) {
  const body = await answer.json().catch(() => answer.statusText);
  return body.detail ?? String(body);
}

function showError(form, text) {
  form.querySelector('.error').textContent = text;
}

function acknowledge(event) {
  event.preventDefault();
  const form = event.target;
  const { author, comment } = form.elements;
  send(form, `/v1/alerts/${attended.fingerprint}/ack`, { by: author.value, note: comment.value });
}

function silence(event) {
  event.preventDefault();
  const form = event.target;
  if (!matchers) return;
  const { author, comment, duration, resolved } = form.elements;
  const now = Date.now();
  send(form, '/api/v2/silences', {
    matchers,
    startsAt: new Date(now).toISOString(),
    endsAt: new Date(now + Number(duration.value) * 60_000).toISOString(),
    createdBy: author.value,
    comment: comment.value,
    until_resolved: resolved.checked,
  });
}

async function preview() {
  const form = $('silence');
  const asked = form.elements.matchers.value;
  const answer = await fetch('/v1/silences/preview', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ matchers: asked }),
  });
  // An answer that is late is about what no longer stands there.
  if (form.elements.matchers.value !== asked) return;
  const found = answer.ok ? await answer.json() : null;
  matchers = found?.matchers ?? null;
  form.querySelector('[type="submit"]').disabled = !matchers;
  showError(form, found ? '' : await reason(answer));
  form.querySelector('.preview').textContent = found ? matched(found) : '';
}

function matched({ count, alerts }) {
  if (count === 0) return 'Matches no alert now.';
  const names = [...new Set(alerts.map(({ labels }) => labels.alertname))].slice(0, 4).join(', ');
  return `Matches ${count} ${count === 1 ? 'alert' : 'alerts'} now: ${names}`;
}

for (const dialog of document.querySelectorAll('dialog')) {
  dialog.querySelector('.cancel').addEventListener('click', () => dialog.close());
}
$('acknowledge').addEventListener('submit', acknowledge);
$('silence').addEventListener('submit', silence);
$('silence').elements.matchers.addEventListener('input', () => {
  matchers = null;
  clearTimeout(previewTimer);
  previewTimer = setTimeout(preview, PREVIEW_PAUSE_MS);
});
