// One thing that happened, with the way to its alert; or what is not told of.

import type { Alert } from '@bellwire/client';
import { stampOf } from '../alert/looks.js';
import type { Happened } from '../alert/told.js';
import { detailOf, signOf, verbOf } from '../alert/verbs.js';
import { timeOf } from '../format/clock.js';
import { visible } from '../format/visible.js';
import { address } from '../shell/router.js';
import { unitOfAlert } from '../stores/units.js';
import { Sign } from '../ui/Sign.js';
import { Breakable } from '../ui/Breakable.js';
import { feed } from './feed.js';
import type { Item } from './reading.js';
import { t } from './texts.js';

const REASONS = new Set(['expired', 'epoch']);

export function Row({ item }: { item: Item }) {
  if ('gap' in item) {
    const why = REASONS.has(item.gap) ? t(`gap.${item.gap}` as 'gap.epoch') : visible(item.gap);
    return <li class="lack">{t('gap', { why })}</li>;
  }
  if ('hole' in item) return <li class="lack">{t('hole')} <button type="button" disabled={feed().state.value.isReading} onClick={() => void feed().fill(item)}>{t('fill')}</button></li>;
  return <Happening of={item.event} />;
}

function Happening({ of: { type, time, data } }: { of: Happened }) {
  const sign = signOf({ type, data });
  const { alertname = '', severity, ...labels } = data.labels ?? {};
  const name = alertname ? visible(alertname) : t('named');
  const { fingerprint } = data;
  const detail = detailOf({ type, data }, unitOfAlert(data as Alert));
  const date = new Date(time);
  return (
    <li class="happening" data-look={type === 'alert.firing' && sign ? sign : undefined} data-state={type === 'alert.resolved' ? 'resolved' : undefined}>
      <time dateTime={Number.isNaN(date.getTime()) ? undefined : date.toISOString()} title={stampOf(time)}>{timeOf(time)}</time>
      <span class="place">{sign && <Sign name={sign} />}</span>
      <p class="of">
        {fingerprint === undefined ? <b class="name">{name}</b> : <a class="name" href={address('alerts', [fingerprint])}><bdi><Breakable text={name} /></bdi></a>}{' '}
        <span class="severity">{visible(data.severity ?? severity ?? '')}</span>{' '}
        <span class="labels"><bdi>{Object.entries(labels).map(([label, value]) => `${visible(label)}=${visible(value)}`).join(' ')}</bdi></span>
      </p>
      <p class="deed"><span class="verb">{verbOf({ type, data })}</span>{detail && <> <bdi class="summary">{detail}</bdi></>}</p>
    </li>
  );
}
