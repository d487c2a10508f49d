// Who this is, where the server asks: a login over what the page shows, and a logout. It speaks to
// the public API; the session is a cookie that no script reads. Paths are relative to the page, so
// that it works below any path that a proxy gives it.

const $ = (id) => document.getElementById(id);

const UNREACHABLE = 'The server cannot be reached.';
const NOT_KEPT = 'The server has let you in, but the browser has not kept the session: it does so over https:// and on localhost alone. Open this page there.';

/** How the login closes once somebody is in. */
const IN = 'in';

const form = $('login');
const dialog = form.closest('dialog');

/** What is done once somebody has logged in. */
let onLogin = () => {};
/** Somebody has closed the login, to look at what the page shows: it does not come back by itself. */
let isDismissed = false;

export function whenLoggedIn(callback) {
  onLogin = callback;
}

/** Asks who this is. `hasShown`: the page shows what came before the session ended. */
export async function askLogin(hasShown) {
  showAccount(null);
  form.querySelector('.why').textContent = hasShown
    ? 'Your session has ended. The page shows what came before.'
    : 'This server asks who you are.';
  if (!isDismissed && !dialog.open) await openLogin();
}

async function openLogin() {
  form.reset();
  showError('');
  const ways = await askWays();
  for (const element of form.querySelectorAll('[data-way]')) {
    element.hidden = !ways.includes(element.dataset.way);
  }
  const takesPasswords = ways.includes('password');
  form.querySelector('.or').hidden = !takesPasswords;
  form.querySelector('[data-way="oidc"]').href = `v1/session/login?return=${encodeURIComponent(location.pathname)}`;
  if (dialog.open) return;
  dialog.returnValue = '';
  dialog.showModal();
  (takesPasswords ? form.elements.name : form.elements.token).focus();
}

/** How one may log in here. */
async function askWays() {
  try {
    return (await (await fetch('v1/session')).json()).login;
  } catch {
    return ['token'];
  }
}

function showError(text) {
  form.querySelector('.error').textContent = text;
}

/** What is wrong with the fields, or what they say. */
function credential() {
  const [name, password, token] = ['name', 'password', 'token'].map((field) => form.elements[field].value);
  if (token.trim()) return name || password ? null : { token: token.trim() };
  return name && password ? { name, password } : null;
}

async function logIn() {
  const body = credential();
  if (!body) return showError('Give a name with its password, or a token or an API key.');
  const button = form.querySelector('[type="submit"]');
  button.disabled = true;
  showError('');
  try {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch('v1/session', { method: 'POST', headers, body: JSON.stringify(body) });
    if (!answer.ok) return showError(await reason(answer));
    const whoami = await fetch('v1/whoami');
    if (whoami.status === 401) return showError(NOT_KEPT);
    form.reset();
    dialog.close(IN);
    if (whoami.ok) showAccount(await whoami.json());
    onLogin();
  } catch {
    showError(UNREACHABLE);
  } finally {
    button.disabled = false;
  }
}

async function reason(answer) {
  const problem = await answer.json().catch(() => ({}));
  const wait = answer.headers.get('retry-after');
  if (problem.code === 'credential_invalid') return 'That is not valid here.';
  if (problem.code === 'logins_exhausted') return `Too many wrong passwords were tried. Try again in ${wait} s.`;
  return problem.detail ?? `The server answered ${answer.status}.`;
}

/** Who is logged in; nothing where nobody is. Whoever is not asked is not named. */
function showAccount(whoami) {
  const isAsked = whoami?.means !== 'open' && whoami?.means !== 'anonymous';
  $('account').hidden = !isAsked;
  $('account').querySelector('.who').textContent = whoami?.subject ?? '';
  const isSession = whoami?.means === 'session';
  $('log-out').hidden = !isSession;
  $('log-in').hidden = Boolean(whoami);
}

/** Asks who this page is to the server. */
export async function askAccount() {
  try {
    const answer = await fetch('v1/whoami');
    if (answer.ok) showAccount(await answer.json());
  } catch {
    // The connection says that.
  }
}

async function logOut() {
  const answer = await fetch('v1/session', { method: 'DELETE' }).catch(() => null);
  // What the page shows is nobody else's to see.
  if (answer?.ok) location.reload();
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  logIn();
});
dialog.addEventListener('close', () => (isDismissed = dialog.returnValue !== IN));
$('log-in').addEventListener('click', openLogin);
$('log-out').addEventListener('click', logOut);
