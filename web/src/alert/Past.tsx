// What happened: transitions, what people did and said, and who was told of it.

import type { Signal } from '@preact/signals';
import { age } from '../format/age.js';
import type { Unit } from '../format/quantity.js';
import { look } from '../format/severity.js';
import { steady, visible } from '../format/visible.js';
import { isSign, Sign, type SignName } from '../ui/Sign.js';
import { amount, clockOf, dayOf, stampOf } from './looks.js';
import type { Happened, Telling, Told } from './told.js';
import { t } from './texts.js';

const SIGNS: Record<string, SignName> = { 'alert.acknowledged': 'acknowledged', 'alert.resolved': 'resolved', 'alert.data_lost': 'data_lost', 'alert.assigned': 'acknowledged' };
const VERBS = new Set(['alert.firing', 'alert.data_lost', 'alert.resolved', 'alert.acknowledged', 'alert.unacknowledged', 'alert.assigned', 'alert.unassigned', 'alert.commented']);
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
  const sign = type === 'alert.firing' ? look(data.severity ?? '') : SIGNS[type];
  const [verb, detail] = isLetter(event) ? [letterText(event), ''] : [verbOf(event), detailOf(event, unit)];
  return (
    <li class="event" data-kind={type} data-look={type === 'alert.firing' ? sign : undefined} data-state={type === 'alert.resolved' ? 'resolved' : undefined}>
      <Time time={time} />
      <span class="place">{sign && isSign(sign) && <Sign name={sign} />}</span>
      <p dir="auto"><span class="verb">{verb}</span>{detail && <> <bdi class="summary">{detail}</bdi></>}<Count n={count} />
        {data.expression !== undefined && expression !== undefined && data.expression !== expression && <code class="then" title={t('then')}>{steady(data.expression)}</code>}
      </p>
    </li>
  );
}

function verbOf({ type, data }: Happened): string {
  const who = visible(type === 'alert.commented' ? data.comment?.by ?? '' : type === 'alert.assigned' ? data.assigned?.to ?? '' : data.acknowledged?.by ?? '');
  return VERBS.has(type) ? t(`verb.${type}` as 'verb.alert.firing', { who }) : visible(type);
}

function detailOf({ type, data }: Happened, unit: Unit | null): string {
  if (type === 'alert.commented') return steady(data.comment?.text ?? '');
  if (type === 'alert.acknowledged') return steady(data.acknowledged?.note ?? '');
  if (type === 'alert.assigned') return data.assigned ? t('says', { who: visible(data.assigned.by) }) : '';
  if (type === 'alert.unacknowledged' || type === 'alert.unassigned') return '';
  const { value, fired_at: fired, resolved_at: resolved } = data;
  const told = value === undefined ? '' : t(type === 'alert.resolved' ? 'last' : 'at', { value: amount(value, unit) });
  const lasted = type === 'alert.resolved' && fired !== undefined && resolved !== undefined ? t('after', { age: age(resolved - fired) }) : '';
  return [lasted, told].filter(Boolean).join(', ');
}
