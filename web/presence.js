// Who looks at this board, of those who show themselves: the followers of `presence/alerts/active`,
// which comes on the board's own stream where the server tells of it. What others show of themselves
// is theirs to choose, and is taken for text.

import { offersPresence, subject } from './login.js';
import { age, setText, visible } from './text.js';

const $ = (id) => document.getElementById(id);

const OF = 'alerts/active';
export const PRESENCE = `presence/${OF}`;
const COUNT = '~count';

/** Heads that are drawn; the others are a number. */
const HEADS_MAX = 4;
/** Rows of the list; the number stands above it. */
const NAMED_MAX = 100;
const NAME_LENGTH_MAX = 60;

/** What this browser keeps: by what it is known when it comes back, whether it shows itself, and the name
 * of whoever sits at it, which acknowledging asks for, too. */
const ID = 'bellwire-present-id';
const MARK = 'bellwire-present-mark';
const HIDES = 'bellwire-present-not';
const NAME = 'bellwire-author';

/** Those who are there, by their keys: { subject, since, shown, generation }. */
const others = new Map();
let count = null;
let isFollowed = false;
let hasMark = false;
let isLive = false;
/** What the board does: { reopen(), now() }. */
let board = null;

/** A browser that keeps nothing of this site is somebody else each time. */
const kept = new Map();

function keep(name, value) {
  kept.set(name, value);
  try {
    localStorage.setItem(name, value);
  } catch {
    // It is known until the page goes.
  }
}

function recall(name) {
  try {
    return localStorage.getItem(name) ?? kept.get(name) ?? '';
  } catch {
    return kept.get(name) ?? '';
  }
}

const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** Nobody guesses it, and nobody else is told. */
function ownId() {
  const id = recall(ID) || random();
  keep(ID, id);
  return id;
}

/** By this the pages of a browser know themselves among the others: without a name they are told no key.
 * It is another one for each page that is opened, so that nobody is known by it later. */
function makeMark() {
  hasMark = true;
  keep(MARK, random().slice(0, 12));
}

const hides = () => recall(HIDES) !== '';

export function beginPresence(boardsOwn) {
  board = boardsOwn;
  $('here-name').maxLength = NAME_LENGTH_MAX;
  $('here-form').addEventListener('submit', (event) => {
    event.preventDefault();
    keep(NAME, $('here-name').value.trim());
    board.reopen();
  });
  $('here-shows').addEventListener('change', () => {
    keep(HIDES, $('here-shows').checked ? '' : 'true');
    show();
    board.reopen();
  });
  $('here').addEventListener('toggle', show);
  // As a menu closes: it lies over the board.
  document.addEventListener('pointerdown', (event) => {
    if (!$('here').contains(event.target)) $('here').open = false;
  });
  $('here').addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !$('here').open) return;
    $('here').open = false;
    $('here').querySelector('summary').focus();
  });
}

/** What the board's stream asks for besides. `goesOn`: of what it has followed, less may be left. */
export function askForPresence(parameters, goesOn) {
  isFollowed = offersPresence(OF) && (isFollowed || !goesOn);
  if (!isFollowed) forget();
  else {
    parameters.append('topic', PRESENCE);
    if (!hides()) {
      parameters.set('present', JSON.stringify(shownOfMe()));
      parameters.set('present_id', ownId());
    }
  }
  show();
}

function shownOfMe() {
  if (!hasMark) makeMark();
  const mark = recall(MARK);
  const name = subject() ? '' : recall(NAME).slice(0, NAME_LENGTH_MAX);
  return name ? { name, mark } : { mark };
}

function forget() {
  others.clear();
  count = null;
}

export function onPresence(key, data, generation) {
  if (key === COUNT) count = data ? { ...data, generation } : null;
  else if (data) others.set(key, { ...data, generation });
  else others.delete(key);
  show();
}

/** All has come that there is: what has not is gone. */
export function keepPresence(generation) {
  for (const [key, one] of others) if (one.generation !== generation) others.delete(key);
  if (count?.generation !== generation) count = null;
  show();
}

export function setPresenceLive(live) {
  isLive = live;
  show();
}

/** How long somebody is there grows by itself. */
export function tickPresence() {
  if ($('here').open) show();
}

// ---------------------------------------------------------------------------- what is shown

const isText = (value) => typeof value === 'string' && value.trim() !== '';

function person([key, { subject: known, since, shown }]) {
  const number = key.replace(/^~/, '');
  const visitor = `Visitor ${number}`;
  const isMe = subject() ? known === subject() : isText(shown?.mark) && shown.mark === recall(MARK);
  const named = (name, note) => ({ name: visible(name), head: initial(visible(name.trim())), note, since, isMe });
  if (isText(known)) return named(known, '');
  if (isText(shown?.name)) return named(shown.name.slice(0, NAME_LENGTH_MAX), visitor);
  return { ...named(visitor, ''), head: number.slice(0, 3) };
}

const people = () =>
  [...others].map(person).sort((a, b) => b.isMe - a.isMe || a.since - b.since || (a.name < b.name ? -1 : 1));

/** The first letter as people see one. */
function initial(name) {
  const letters = typeof Intl.Segmenter === 'function' ? new Intl.Segmenter().segment(name) : [...name];
  for (const letter of letters) return (letter.segment ?? letter).toUpperCase();
  return '?';
}

function show() {
  $('here').hidden = !isFollowed;
  if (!isFollowed) return;
  const here = people();
  const followers = count?.followers ?? here.length;
  const isAlone = here.length === followers && here.every(({ isMe }) => isMe);
  const text = !isLive ? 'Who is here is not known' : isAlone ? 'Only you' : `${followers} here`;
  setText($('here-count'), isLive ? text : '–');
  $('here').querySelector('summary').title = isLive ? `${isAlone ? text : followers} at this board` : text;
  showHeads(here, followers);
  $('here-shows').checked = !hides();
  if (!$('here').open) {
    // Before the sheet opens, which is told only later: whoever is quick has typed by then.
    $('here-name').value = recall(NAME);
    return;
  }
  showNames(here);
  $('here-many').hidden = !isLive || count?.named !== false;
  $('here-nobody').hidden = !isLive || followers > 0;
  $('here-names').classList.toggle('stale', !isLive);
  $('here-unknown').hidden = isLive;
  $('here-form').hidden = subject() !== null || hides();
}

function showHeads(here, followers) {
  const heads = here.slice(0, HEADS_MAX).map(({ head, isMe }) => [head, isMe]);
  if (heads.length > 0 && followers > heads.length) heads.push([`+${followers - heads.length}`, false]);
  const list = $('here-heads');
  if (JSON.stringify(heads) === list.dataset.drawn) return;
  list.dataset.drawn = JSON.stringify(heads);
  list.replaceChildren(...heads.map(([text, isMe]) => {
    const head = document.createElement('span');
    head.textContent = text;
    head.classList.toggle('me', isMe);
    return head;
  }));
}

function showNames(here) {
  const now = board.now();
  $('here-names').replaceChildren(...here.slice(0, NAMED_MAX).map(({ name, note, since, isMe }) => {
    const row = document.createElement('li');
    const who = document.createElement('b');
    who.textContent = name;
    const more = document.createElement('span');
    more.textContent = [isMe ? 'you' : '', note, `for ${age(now - since)}`].filter(Boolean).join(' · ');
    row.append(who, ' ', more);
    return row;
  }));
}
