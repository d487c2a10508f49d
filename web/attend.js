// What people do with an alert: acknowledge it, take that back, silence it. Two dialogs that
// speak to the public API; what comes of it is shown when the board hears of it. Paths are relative
// to the page, so that it works below any path that a proxy gives it.

import { askWho, showFault, subject } from './login.js';

const $ = (id) => document.getElementById(id);

/** Waits for a pause in typing before the preview is asked for. */
const PREVIEW_PAUSE_MS = 200;
const AUTHOR = 'bellwire-author';
const UNREACHABLE = 'The server cannot be reached.';

/** The alert that a dialog is about. */
let attended = null;
let previewTimer = null;
/** The matchers of the last preview, as the API takes them; nothing while they are wrong. */
let matchers = null;
/** The server's clock minus this one's, to the second: a silence ends by the server's. */
let skewMs = 0;

export function openAcknowledge(alert) {
  open($('acknowledge'), alert);
}

export function openSilence(alert) {
  open($('silence'), alert);
  const text = Object.entries(alert.labels).map(([name, value]) => `${nameText(name)}=${quoted(value)}`);
  $('silence').elements.matchers.value = `{${text.join(',')}}`;
  preview();
}

export async function takeBack(alert) {
  const path = `v1/alerts/${alert.fingerprint}/ack`;
  const answer = await fetch(path, { method: 'DELETE' }).catch(() => null);
  if (!answer?.ok) showFault(`It was not taken back: ${answer ? await reason(answer) : UNREACHABLE}`);
}

/** A text between quotes. The syntax of matchers has no other escapes that all its readers know. */
const quoted = (text) => `"${text.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`;

/** Names that the syntax of matchers cannot hold as they are stand in quotes. */
const nameText = (name) => (/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name) ? name : quoted(name));

function open(form, alert) {
  attended = alert;
  form.reset();
  // Whom the server knows it takes at no other name.
  form.elements.author.readOnly = subject() !== null;
  form.elements.author.value = subject() ?? localStorage.getItem(AUTHOR) ?? '';
  form.querySelector('.subject').textContent = alert.labels.alertname ?? alert.fingerprint;
  showError(form, '');
  form.closest('dialog').showModal();
  (form.elements.author.value ? form.elements.comment : form.elements.author).focus();
}

/** Sends what a dialog asks for, and closes it once the server has done it. */
async function send(form, path, body) {
  if (!form.elements.author.readOnly) localStorage.setItem(AUTHOR, form.elements.author.value);
  const button = form.querySelector('[type="submit"]');
  button.disabled = true;
  try {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
    if (answer.ok) form.closest('dialog').close();
    else showError(form, await reason(answer));
  } catch {
    showError(form, UNREACHABLE);
  } finally {
    button.disabled = false;
  }
}

/** A problem's detail, or the text that Alertmanager's API answers with. */
async function reason(answer) {
  if (answer.status === 401) {
    askWho();
    return 'You are not logged in any more.';
  }
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
  send(form, `v1/alerts/${attended.fingerprint}/ack`, { by: author.value, note: comment.value });
}

function silence(event) {
  event.preventDefault();
  const form = event.target;
  if (!matchers) return;
  const { author, comment, duration, resolved } = form.elements;
  // Without a start it begins at once.
  send(form, 'api/v2/silences', {
    matchers,
    endsAt: new Date(Date.now() + skewMs + Number(duration.value) * 60_000).toISOString(),
    createdBy: author.value,
    comment: comment.value,
    until_resolved: resolved.checked,
  });
}

async function preview() {
  const form = $('silence');
  const asked = form.elements.matchers.value;
  // Those of another alert, or of another text, must not be silenced in the place of these.
  forgetPreview(form);
  const answer = await fetch('v1/silences/preview', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ matchers: asked }),
  }).catch(() => null);
  // An answer that is late is about what no longer stands there.
  if (form.elements.matchers.value !== asked) return;
  if (!answer) return showError(form, UNREACHABLE);
  skewMs = Date.parse(answer.headers.get('date')) - Date.now() || 0;
  const found = answer.ok ? await answer.json() : null;
  matchers = found?.matchers ?? null;
  form.querySelector('[type="submit"]').disabled = !matchers;
  showError(form, found ? '' : await reason(answer));
  form.querySelector('.preview').textContent = found ? matched(found) : '';
}

function forgetPreview(form) {
  matchers = null;
  form.querySelector('[type="submit"]').disabled = true;
  form.querySelector('.preview').textContent = '';
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
  forgetPreview($('silence'));
  clearTimeout(previewTimer);
  previewTimer = setTimeout(preview, PREVIEW_PAUSE_MS);
});
