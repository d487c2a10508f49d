// What happened: transitions, what people did and said, and who was told of it.

import type { Signal } from '@preact/signals';
import type { Unit } from '../format/quantity.js';
import { steady, visible } from '../format/visible.js';
import { Sign } from '../ui/Sign.js';
import { clockOf, dayOf, stampOf } from './looks.js';
import type { Happened, Telling, Told } from './told.js';
import { t } from './texts.js';
import { detailOf, signOf, verbOf } from './verbs.js';

/** So many receivers, and what each was told last, stand by themselves; the history has all. */
const TOLD_MAX = 8;

const isLetter = ({ type }: Happened) => type.startsWith('notification.');

/** What is the same of notifications that are told as one. */
const kindOf = ({ type, data: { receiver, webhook, told_as: as } }: Happened) => JSON.stringify([type, receiver, webhook, as]);

interface Run { event: Happened; count: number }

/** The newest of each kind, with how many there are. */
function newestOf(letters: readonly Happened[]): Run[] {
  const found = new Map<string, Run>();
  for (const event of letters) {
    const known = found.get(kindOf(event));
    if (known) known.count += 1;
    else found.set(kindOf(event), { event, count: 1 });
  }
  return [...found.values()];
}

/** Events in their order, where one notification after the other of the same kind is one. */
function runsOf(history: readonly Happened[]): Run[] {
  const runs: Run[] = [];
  for (const event of history) {
    const last = runs.at(-1);
    if (last && isLetter(event) && kindOf(event) === kindOf(last.event)) last.count += 1;
    else runs.push({ event, count: 1 });
  }
  return runs;
}

export function Notified({ told: { history } }: { told: Told }) {
  const letters = newestOf(history.filter(isLetter)).slice(0, TOLD_MAX);
  return (
    <section class="notified">
      <h3>{t('notified')}</h3>
      {letters.length === 0 ? <p class="figure">{t('notTold')}</p> : (
        <ul>
          {letters.map(({ event, count }) => (
            <li key={kindOf(event)} data-failed={event.type === 'notification.failed' ? '' : undefined}><Time time={event.time} /> <span><bdi>{letterText(event)}</bdi><Count n={count} /></span></li>
          ))}
        </ul>
      )}
    </section>
  );
}

function letterText({ type, data }: Happened): string {
  const { receiver = '', webhook = 0, told_as: as, attempts = 1, reason, last_status: status, notification_reason: why } = data;
  const whom = `${visible(receiver)}${webhook > 0 ? ` (${t('webhook', { n: webhook + 1 })})` : ''}`;
  const verb = type === 'notification.failed' ? t('toldFailed') : as === 'firing' ? t('toldFiring') : as === 'resolved' ? t('toldResolved') : t('toldOther');
  const more = [
    why === 'repeat interval elapsed' ? t('again') : '',
    type === 'notification.failed' ? steady(reason ?? (status ? t('answers', { status }) : '')) : '',
    attempts > 1 ? t('tries', { n: attempts }) : '',
  ].filter(Boolean).join(', ');
  return `${whom} ${verb}${more && `: ${more}`}`;
}

export function Past({ telling, unit, older }: { telling: Signal<Telling>; unit: Unit | null; older: () => void }) {
  const { told, isAsking } = telling.value;
  if (!told) return null;
  const { history, next, complete_since: since, rule } = told;
  let day = '';
  return (
    <section class="past">
      <h3>{t('past')}</h3>
      {history.length === 0 && <p class="figure">{t('nothing')}</p>}
      <ol>
        {runsOf(history).flatMap(({ event, count }) => {
          const today = dayOf(event.time);
          const isNew = today !== day;
          day = today;
          return [
            isNew ? <li key={today} class="day">{today}</li> : null,
            <Row key={event.cursor} event={event} count={count} unit={unit} {...(rule?.expression !== undefined && { expression: rule.expression })} />,
          ];
        })}
      </ol>
      {next !== undefined && <button type="button" disabled={isAsking} onClick={older}>{t('older')}</button>}
      {next === undefined && since !== undefined && <p class="figure">{t('since', { time: stampOf(since) })}</p>}
    </section>
  );
}

function Time({ time }: { time: number }) {
  const date = new Date(time);
  return <time dateTime={Number.isNaN(date.getTime()) ? undefined : date.toISOString()} title={stampOf(time)}>{clockOf(time)}</time>;
}

/** How often. */
function Count({ n }: { n: number }) {
  return n > 1 ? <span class="figure"> {t('times', { n })}</span> : null;
}

function Row({ event, count, unit, expression }: { event: Happened; count: number; unit: Unit | null; expression?: string }) {
  const { type, time, data } = event;
  const sign = isLetter(event) ? null : signOf(event);
  const [verb, detail] = isLetter(event) ? [letterText(event), ''] : [verbOf(event), detailOf(event, unit)];
  return (
    <li class="event" data-kind={type} data-look={type === 'alert.firing' ? sign ?? undefined : undefined} data-state={type === 'alert.resolved' ? 'resolved' : undefined}>
      <Time time={time} />
      <span class="place">{sign && <Sign name={sign} />}</span>
      <p dir="auto"><span class="verb">{verb}</span>{detail && <> <bdi class="summary">{detail}</bdi></>}<Count n={count} />
        {data.expression !== undefined && expression !== undefined && data.expression !== expression && <code class="then" title={t('then')}>{steady(data.expression)}</code>}
      </p>
    </li>
  );
}
