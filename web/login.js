// Who is at the page: the login where the server asks, the name and the way out where it knows. It
// speaks to the public API; the cookie that stands for somebody is the browser's, and no script of
// this page ever has it. What is secret of what is typed is sent
// once and kept nowhere.

const $ = (id) => document.getElementById(id);

/** While the page waits for a login, it asks so often whether there has been one elsewhere. */
const ASK_AGAIN_MS = 30_000;
const FAULT_SHOWN_MS = 10_000;
/** Of what is many, so many are named. */
const NAMED_MAX = 5;
/** Where all pages of this browser see that somebody has logged out at one of them. */
const LEFT = 'bellwire-left';
const UNREACHABLE = 'The server cannot be reached.';

/** What `GET /v1/whoami` says; nothing while it is not known or nobody may come in. */
let who = null;
/** Whether the server was asked who is at the page, and does not know. */
let isAsked = false;
/** Whose data the page shows. Somebody else's does not come on top of it. */
let shownFor = null;
let isSending = false;
/** Whether strangers see something, too. */
let strangerMay = false;
let asking = null;
let faultTimer = null;
/** What `LEFT` said when the page was opened. */
const leftBefore = lastLeft();
/** What the board does when somebody is known, and when the server has to be told who it is. */
let board = { onKnown() {}, onUnknown() {}, onServerTime() {} };

export function begin(handlers) {
  board = handlers;
  askWho();
}

/** Whether the server waits to be told who this is. */
export const isUnknown = () => isAsked;

/** The name that the server knows; nothing where nobody is asked. */
export const subject = () => (isSomebody(who) ? who.subject : null);

/** Whether those who follow this topic may show themselves to each other. */
export const offersPresence = (topic) => (who?.presence ?? []).some((filter) => passes(filter.split('/'), topic.split('/')));

const passes = ([first, ...filter], [segment, ...topic]) =>
  first === '**' || (first === segment || (first === '*' && segment !== undefined)) && (first === undefined || passes(filter, topic));

const isSomebody = (who) => Boolean(who) && who.means !== 'open' && who.means !== 'anonymous';

/** Whether somebody is known who may not do this: `attend`, or `admin`. */
export function lacks(right) {
  const has = who?.rights[right];
  return who !== null && !(Array.isArray(has) ? has.length > 0 : has);
}

/**
 * Asks the server who is at the page, and shows what comes of it. `ended` says why, where somebody
 * was known until now: then a stranger's view of the board is not taken for theirs.
 */
export function askWho(ended = '') {
  asking ??= ask(ended).finally(() => (asking = null));
  return asking;
}

async function ask(ended) {
  const asked = Date.now();
  const answer = await fetch('v1/whoami').catch(() => null);
  const time = Date.parse(answer?.headers.get('date'));
  if (time) board.onServerTime(time, (asked + Date.now()) / 2);
  if (answer?.status === 401) return showLogin(ended || (shownFor ? 'Your session has ended.' : ''));
  if (!answer?.ok) return;
  const now = await answer.json().catch(() => null);
  if (!now?.rights) return;
  strangerMay = now.means === 'anonymous';
  if (shownFor && strangerMay) return showLogin(ended || 'Your session has ended.');
  welcome(now);
}

/** What somebody lacks to follow these topics, where a stream of them is refused for that. */
export async function refusal(path, topics) {
  const leave = new AbortController();
  try {
    const headers = { accept: 'text/event-stream' };
    const answer = await fetch(`${path}&refusals=status`, { headers, signal: leave.signal });
    if (answer.status !== 403) return '';
    const { code, detail } = await answer.json();
    return code === 'forbidden' && who ? lacking(topics) : detail;
  } catch {
    return '';
  } finally {
    leave.abort();
  }
}

function lacking(topics) {
  const has = who.rights.subscribe;
  const given = has.length === 0 ? 'your roles lack the right subscribe' : `your roles let you follow ${several(has)} only`;
  return `this page follows ${several(topics)}, and ${given}`;
}

function several(names) {
  const shown = names.length > NAMED_MAX ? [...names.slice(0, NAMED_MAX), `${names.length - NAMED_MAX} more`] : names;
  return shown.length > 1 ? `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}` : shown[0];
}

function welcome(now) {
  const name = isSomebody(now) ? now.subject : '';
  // What stands there is somebody else's: nothing of it stays.
  if (shownFor !== null && shownFor !== name) return location.reload();
  shownFor = name;
  const wasAsked = isAsked;
  who = now;
  isAsked = false;
  // A stranger may be at it, who has opened it.
  if (wasAsked) closeLogin();
  showWho();
  board.onKnown(wasAsked);
}

function showWho() {
  const isOpen = !who || who.means === 'open';
  $('who').hidden = isOpen && !isAsked;
  $('subject').textContent = isAsked ? '' : (subject() ?? '');
  $('subject').title = subject() ? `You are ${subject()}, with ${roles()}` : '';
  $('log-out').hidden = isAsked || who?.means !== 'session';
  $('log-in').hidden = !isAsked && who?.means !== 'anonymous';
  $('view-only').hidden = isOpen || isAsked || lacks('subscribe') || !lacks('attend');
}

function roles() {
  const names = who.roles.join(', ');
  return names === '' ? 'no role' : `the ${who.roles.length === 1 ? 'role' : 'roles'} ${names}`;
}

// ---------------------------------------------------------------------------- the login

/** Asks who this is: over what is on the screen, where there is something. */
async function showLogin(reason) {
  const wasAsked = isAsked;
  isAsked = true;
  // What went wrong for whoever was known does not matter any more, and may not be so.
  hideFault();
  showWho();
  // Whoever has turned it down is not asked again and again.
  if (wasAsked) return;
  board.onUnknown();
  await learnWays();
  if (isAsked) openLogin(reason);
}

function openLogin(reason) {
  const dialog = $('login');
  $('login-reason').textContent = reason;
  $('login-reason').hidden = reason === '';
  $('login-plain').hidden = window.isSecureContext;
  showError('');
  if (!dialog.open) {
    // Where nothing has come yet there is nothing to go back to.
    const isFirst = shownFor === null;
    document.body.toggleAttribute('data-login', isFirst);
    $('login-cancel').hidden = isFirst;
    if (isFirst) dialog.show();
    else dialog.showModal();
  }
  focusFirst();
}

function closeLogin() {
  const { password, token } = $('login-form').elements;
  password.value = token.value = '';
  document.body.removeAttribute('data-login');
  if ($('login').open) $('login').close();
}

/** What there is to log in with; where it is not told, a token or a key is worth a try. */
async function learnWays() {
  if ($('ways').dataset.known) return;
  const answer = await fetch('v1/session').catch(() => null);
  const told = answer?.ok ? await answer.json().catch(() => null) : null;
  const ways = new Set(told?.login?.length > 0 ? told.login : ['token']);
  if (told) $('ways').dataset.known = 'true';
  $('login-elsewhere').hidden = !ways.has('oidc');
  $('login-elsewhere').querySelector('a').href = `v1/session/login?return=${encodeURIComponent(location.pathname)}`;
  $('ways').hidden = !(ways.has('password') && ways.has('token'));
  const { way } = $('login-form').elements;
  way.value = ways.has('password') ? 'password' : 'token';
  showWay();
}

/** Shows the fields of the way that is chosen; those of the other one are not sent. */
function showWay() {
  const chosen = $('login-form').elements.way.value;
  for (const fields of document.querySelectorAll('#login [data-way]')) {
    fields.hidden = fields.disabled = fields.dataset.way !== chosen;
  }
}

const fieldsets = () => [...document.querySelectorAll('#login [data-way]')];

function focusFirst() {
  const fields = fieldsets().find(({ hidden }) => !hidden);
  const inputs = [...fields.querySelectorAll('input')];
  (inputs.find(({ value }) => value === '') ?? inputs.at(-1)).focus();
}

function showError(text) {
  $('login-error').textContent = text;
}

async function logIn(event) {
  event.preventDefault();
  if (isSending) return;
  const { way, username, password, token } = $('login-form').elements;
  const shown = way.value === 'token' ? { token: token.value.trim() } : { name: username.value, password: password.value };
  const button = $('login-form').querySelector('[type="submit"]');
  isSending = true;
  showError('');
  button.textContent = 'Logging in…';
  try {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch('v1/session', { method: 'POST', headers, body: JSON.stringify(shown) });
    if (answer.ok) await enter(await answer.json());
    else refuse(await reason(answer, way.value));
  } catch {
    refuse(UNREACHABLE);
  } finally {
    isSending = false;
    button.textContent = 'Log in';
  }
}

/** The session is made; whether the browser has kept it only another request tells. */
async function enter(made) {
  const answer = await fetch('v1/whoami');
  const now = answer.ok ? await answer.json() : null;
  // Another one that the browser has is not this one.
  if (now?.means === 'session' && now.session === made.session) return welcome(now);
  if (answer.status === 401 || now) return refuse(notKept());
  refuse(await reason(answer));
}

function notKept() {
  if (location.protocol === 'https:') {
    return 'The login is right, but the browser did not keep it: it takes no cookies of this site. Allow them, and log in again.';
  }
  return `The login is right, but the browser did not keep it: it keeps sessions over HTTPS only. Open https://${location.hostname}; where that does not answer, the server needs a certificate (tls_certificate), or a proxy with one in front.`;
}

function refuse(text) {
  showError(text);
  const input = fieldsets().find(({ hidden }) => !hidden).querySelector('input[type="password"]');
  input.focus();
  input.select();
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

async function reason(answer, way) {
  const problem = await answer.json().catch(() => ({}));
  if (answer.status === 401) {
    if (way === 'password') return 'Name or password is wrong.';
    return 'This token or key does not count here: it is mistyped, has ended, or was taken back.';
  }
  if (problem.code === 'logins_exhausted') {
    const seconds = Math.max(1, Number(answer.headers.get('retry-after')) || 1);
    const at = clock.format(Date.now() + seconds * 1000);
    return `Too many wrong passwords. Try again in ${seconds} s, at ${at}.`;
  }
  return problem.detail ?? `The server answers ${answer.status} ${answer.statusText}`;
}

/** What is on the screen stays, but for what a stranger may see in its place. */
function cancel() {
  $('login').close();
  if (isAsked && strangerMay) location.reload();
}

/** Nothing of what was seen stays on the screen, here or in another tab. */
async function logOut() {
  const answer = await fetch('v1/session', { method: 'DELETE' }).catch(() => null);
  if (answer?.ok) {
    tellLeft();
    return location.reload();
  }
  showFault(`You are still logged in: ${answer ? await reason(answer) : UNREACHABLE}`);
}

/** Shows for a while what went wrong where no dialog is open. */
export function showFault(text) {
  $('fault').textContent = text;
  $('fault').hidden = false;
  clearTimeout(faultTimer);
  faultTimer = setTimeout(hideFault, FAULT_SHOWN_MS);
}

function hideFault() {
  clearTimeout(faultTimer);
  $('fault').hidden = true;
}

/** A browser that keeps nothing of this site keeps no session either. */
function lastLeft() {
  try {
    return localStorage.getItem(LEFT);
  } catch {
    return null;
  }
}

function tellLeft() {
  try {
    localStorage.setItem(LEFT, `${Date.now()} ${Math.random()}`);
  } catch {
    // Then there is no other page to be told.
  }
}

/** Somebody may have logged out elsewhere, also while the browser kept this page aside. */
function leaveToo() {
  if (lastLeft() !== leftBefore) location.reload();
}

/** Somebody may have logged in in another tab, or be known again to a proxy in front. */
function askAgain() {
  if (isAsked && !isSending && !document.hidden) askWho();
}

$('login-form').addEventListener('submit', logIn);
$('login-form').addEventListener('change', (event) => {
  if (event.target.name !== 'way') return;
  showError('');
  showWay();
});
$('login-cancel').addEventListener('click', cancel);
$('login').addEventListener('cancel', cancel);
$('log-in').addEventListener('click', async () => {
  await learnWays();
  openLogin('');
});
$('log-out').addEventListener('click', logOut);
window.addEventListener('storage', leaveToo);
window.addEventListener('pageshow', leaveToo);
window.addEventListener('focus', askAgain);
document.addEventListener('visibilitychange', askAgain);
setInterval(askAgain, ASK_AGAIN_MS);
