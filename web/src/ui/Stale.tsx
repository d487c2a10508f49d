// What stands above something that was asked for and does not come, or comes no more.

import { age } from '../format/age.js';
import { Refusal } from '../stores/ask.js';
import type { Polled } from '../stores/polled.js';
import { texts } from '../text/text.js';
import { ticks } from './now.js';

const t = texts({
  en: {
    loading: 'Loading',
    forbidden: 'You may not see this. {detail}',
    login: 'The server does not know who you are: log in first.',
    failed: 'The server does not tell: {detail}',
    old: 'The server does not answer; this is {age} old. {detail}',
    again: 'Ask again',
  },
  de: {
    loading: 'Lädt',
    forbidden: 'Das darfst du nicht sehen. {detail}',
    login: 'Der Server weiß nicht, wer du bist: erst anmelden.',
    failed: 'Der Server sagt es nicht: {detail}',
    old: 'Der Server antwortet nicht; das hier ist {age} alt. {detail}',
    again: 'Noch einmal fragen',
  },
});

/** Nothing where the newest answer is there. */
export function Stale({ of: { answer, failure, at, again } }: { of: Polled<unknown> }) {
  const error = failure.value;
  if (!error) return answer.value === null ? <p class="empty" aria-busy="true">{t('loading')}</p> : null;
  const detail = error.message;
  const status = error instanceof Refusal ? error.status : 0;
  const text = status === 403 ? t('forbidden', { detail })
    : status === 401 ? t('login')
      : answer.value !== null ? t('old', { age: age(ticks.value - (at.value ?? 0)), detail })
        : t('failed', { detail });
  return <p class="said" role="status">{text} {status !== 403 && <button type="button" onClick={again}>{t('again')}</button>}</p>;
}
