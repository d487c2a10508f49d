// Who is at the page, as the server knows it: what they may do, and whose data is shown. The cookie that
// stands for somebody is the browser's; no script has it.

import { computed, signal } from '@preact/signals';
import { texts } from '../text/text.js';
import { recall, remember } from '../ui/storage.js';

/** What roles allow: lists of filters or matchers, and whether somebody administers. */
export type Right = 'subscribe' | 'publish' | 'ingest' | 'query' | 'alerts' | 'attend' | 'post_alerts' | 'admin';

/** What `GET /v1/whoami` says. */
export interface Who {
  subject: string;
  means: 'open' | 'anonymous' | 'token' | 'key' | 'password' | 'session' | 'ticket' | 'proxy';
  session?: string;
  roles: string[];
  rights: Record<Exclude<Right, 'admin'>, string[]> & { admin: boolean };
  limits: Record<string, { max: number; left: number }>;
  ends_at?: number;
  presence?: string[];
}

/** `asking`: nobody has answered yet. `known`: it is known who this is, be it anybody. `unknown`: the server
 * wants to be told. `unreachable`: it was asked, and has said nothing of use. */
export type Standing = 'asking' | 'known' | 'unknown' | 'unreachable';

/** Why somebody has to log in again: the time is over, or it was taken back. */
export type Ended = '' | 'expired' | 'revoked';

const t = texts({
  en: {
    attend: 'None of your roles lets you acknowledge or silence alerts: they lack the right “attend”.',
    admin: 'This is for administrators: your roles lack the right “admin”.',
    query: 'None of your roles lets you ask for values: they lack the right “query”.',
    publish: 'None of your roles lets you publish: they lack the right “publish”.',
    subscribe: 'None of your roles lets you follow topics: they lack the right “subscribe”.',
    alerts: 'None of your roles lets you see alerts: they lack the right “alerts”.',
    ingest: 'None of your roles lets you send samples: they lack the right “ingest”.',
    post_alerts: 'None of your roles lets you post alerts: they lack the right “post_alerts”.',
    unknown: 'Log in first.',
  },
  de: {
    attend: 'Keine deiner Rollen erlaubt, Alarme zu quittieren oder stummzuschalten: Das Recht „attend“ fehlt.',
    admin: 'Das ist Administratoren vorbehalten: Deinen Rollen fehlt das Recht „admin“.',
    query: 'Keine deiner Rollen erlaubt, Werte abzufragen: Das Recht „query“ fehlt.',
    publish: 'Keine deiner Rollen erlaubt, zu veröffentlichen: Das Recht „publish“ fehlt.',
    subscribe: 'Keine deiner Rollen erlaubt, Themen zu folgen: Das Recht „subscribe“ fehlt.',
    alerts: 'Keine deiner Rollen erlaubt, Alarme zu sehen: Das Recht „alerts“ fehlt.',
    ingest: 'Keine deiner Rollen erlaubt, Messwerte zu senden: Das Recht „ingest“ fehlt.',
    post_alerts: 'Keine deiner Rollen erlaubt, Alarme zu melden: Das Recht „post_alerts“ fehlt.',
    unknown: 'Melde dich zuerst an.',
  },
});

/** Where all pages of this browser see that somebody has logged out at one of them. */
const LEFT = 'left';
/** While the page waits for a login, it asks so often whether there has been one elsewhere. */
const ASK_AGAIN_MS = 30_000;
/** What takes longer than this is as good as no answer. */
const ANSWER_MAX_MS = 10_000;
/** So long an answer is as good as one that is asked for now. */
const JUST_MS = 2_000;
export const inTime = (): AbortSignal => AbortSignal.timeout(ANSWER_MAX_MS);

/** Nothing while it is not known, or nobody may come in. */
export const who = signal<Who | null>(null);
export const standing = signal<Standing>('asking');
export const ended = signal<Ended>('');
/** Whether anything is on the page that was shown to somebody: else there is nothing to go back to. */
export const hasShown = signal(false);

/** Whose data the page shows, by name; somebody else's does not come on top of it. */
let shownFor: string | null = null;
/** Whether strangers see something, too. */
let strangerMay = false;
let asking: Promise<void> | null = null;
/** A login is under way: what is asked beside it would see its half. */
let isEntering = false;
const leftBefore = recall(LEFT);

/** Whether the server waits to be told who this is. */
export const isUnknown = computed(() => standing.value === 'unknown');

const isSomebody = (one: Who | null): one is Who => one !== null && one.means !== 'open' && one.means !== 'anonymous';

/** The name that the server knows; nothing where nobody is asked. */
export const subject = computed(() => (isSomebody(who.value) ? who.value.subject : null));

/** Whether somebody is known who may not do this. */
export function lacks(right: Right): boolean {
  const has = who.value?.rights[right];
  return has !== undefined && !(Array.isArray(has) ? has.length > 0 : has);
}

/** Why somebody may not do this, in words; empty where they may, as far as is known. */
export function lacking(right: Right): string {
  if (isUnknown.value) return t('unknown');
  return lacks(right) ? t(right) : '';
}

/** Whether those who follow this topic may show themselves to each other. */
export function offersPresence(topic: string): boolean {
  return (who.value?.presence ?? []).some((filter) => passes(filter.split('/'), topic.split('/')));
}

/** Whether a filter such as `alerts/*` or `plant/**` lets a topic pass. */
export function passes([first, ...filter]: readonly string[], [segment, ...topic]: readonly string[]): boolean {
  if (first === '**') return true;
  if (first === undefined || segment === undefined) return first === segment;
  return (first === '*' || first === segment) && passes(filter, topic);
}

/** Asks the server who is at the page. `why` says what has ended, where that is known. */
export function askWho(why: Ended = ''): Promise<void> {
  asking ??= ask(why).finally(() => { asking = null; });
  return asking;
}

declare global {
  /** The page asks before its script has come, since all else waits for the answer. */
  var askedWho: Promise<Response | null> | null | undefined;
}

async function answerOf(): Promise<Response | null> {
  const first = globalThis.askedWho;
  globalThis.askedWho = null;
  return await first ?? fetch('v1/whoami', { cache: 'no-store', signal: inTime() }).catch(() => null);
}

/** What was answered last, for who would ask the same right away. */
let told: { answer: Response; at: number } | null = null;

/** The answer that has just come, once: a stream that is opened now need not ask for it again. */
export function justTold(): Response | null {
  const last = told;
  told = null;
  return last && performance.now() - last.at < JUST_MS ? last.answer : null;
}

async function ask(why: Ended): Promise<void> {
  const answer = await answerOf();
  told = answer?.ok ? { answer: answer.clone(), at: performance.now() } : null;
  // Somebody was known until now.
  const lost = why || (shownFor ? 'expired' : '');
  if (answer?.status === 401) return wantLogin(lost);
  const now = answer?.ok ? await whoOf(answer) : null;
  if (!now) {
    if (standing.value === 'asking') standing.value = 'unreachable';
    return;
  }
  strangerMay = now.means === 'anonymous';
  // A stranger's view of the board is not taken for theirs.
  if (shownFor && strangerMay) return wantLogin(lost);
  if (!isEntering) welcome(now);
}

/** What an answer says; nothing where it is no Bellwire's. */
export async function whoOf(answer: Response): Promise<Who | null> {
  const said = await answer.json().catch(() => null) as Partial<Who> | null;
  return said && typeof said.subject === 'string' && said.rights ? said as Who : null;
}

/** It is known who this is. */
export function welcome(now: Who): void {
  const name = isSomebody(now) ? now.subject : '';
  // What stands there is somebody else's: nothing of it stays.
  if (shownFor !== null && shownFor !== name) return location.reload();
  shownFor = name;
  who.value = now;
  ended.value = '';
  hasShown.value = true;
  standing.value = 'known';
}

function wantLogin(why: Ended): void {
  ended.value = why;
  standing.value = 'unknown';
}

/** While `work` runs nobody else says who this is. */
export async function entering<Result>(work: () => Promise<Result>): Promise<Result> {
  isEntering = true;
  try {
    return await work();
  } finally {
    isEntering = false;
  }
}

/** Whoever turns the login down sees what strangers see, where they see something. */
export function turnDown(): void {
  if (isUnknown.value && strangerMay) location.reload();
}

/** Nothing of what was seen stays on the screen, here or in another tab. */
export function leave(): void {
  remember(LEFT, `${Date.now()} ${Math.random()}`);
  location.reload();
}

// ---------------------------------------------------------------------------- asking again

/** Begins to look after who is at the page, in all its tabs. */
export function watchWho(): void {
  const look = () => {
    // Somebody may have logged out elsewhere, also while the browser kept this page aside.
    if (recall(LEFT) !== leftBefore) return location.reload();
    askAgain();
  };
  addEventListener('storage', look);
  addEventListener('pageshow', look);
  addEventListener('focus', askAgain);
  document.addEventListener('visibilitychange', askAgain);
  setInterval(askAgain, ASK_AGAIN_MS);
  void askWho();
}

/** Somebody may have logged in in another tab, or be known again to a proxy in front. */
function askAgain(): void {
  if (standing.value !== 'known' && !isEntering && !document.hidden) void askWho();
}
