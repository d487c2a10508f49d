// One alert: what it is, how bad, since when, with which value, and who is on it.

import type { Alert } from '@bellwire/client';
import { age } from '../format/age.js';
import { quantity } from '../format/quantity.js';
import { look } from '../format/severity.js';
import { steady, visible } from '../format/visible.js';
import { address, route } from '../shell/router.js';
import { entryOf } from '../stores/alerts.js';
import { unitOfAlert } from '../stores/units.js';
import { locale } from '../text/text.js';
import { Breakable } from '../ui/Breakable.js';
import { isSign, Sign } from '../ui/Sign.js';
import { actOn, isRaised, mayAttend, obstacle } from './acting.js';
import { isPaused, shownAlert, shownNow } from './engine.js';
import { type Item, since } from './model.js';
import { selection, toggleSelected } from './selection.js';
import { t } from './texts.js';

interface Props {
  item: Item;
  isInGroup: boolean;
}

const STATES = new Set(['firing', 'acknowledged', 'data_lost', 'pending', 'silenced', 'inhibited', 'resolved']);
export const stateText = (state: string): string => (STATES.has(state) ? t(`state.${state}` as 'state.firing') : visible(state.replace('_', ' ')));

export const nameOf = ({ labels }: Alert): string => (labels.alertname ? visible(labels.alertname) : t('named'));

export function AlertRow({ item: { entry, group }, isInGroup }: Props) {
  const alert = shownAlert(entry);
  const isGone = entry.isGone.value && !isPaused.value;
  const name = nameOf(alert);
  const { fingerprint } = entry;
  const common = isInGroup ? new Set(group.labels.shared().map(([label]) => label)) : null;
  return (
    <>
      <label class="pick"><input type="checkbox" checked={selection.value.has(fingerprint)} aria-label={t('select', { name })} onChange={() => toggleSelected([fingerprint])} /></label>
      <Sign name={alert.state !== 'firing' && isSign(alert.state) ? alert.state : look(alert.severity)} />
      <div class="what">
        <p class="head">
          <a class="name" href={address('alerts', [fingerprint], route.value.parameters)} title={name} data-main><bdi><Breakable text={name} /></bdi></a>{' '}
          <span class="severity">{visible(alert.severity)}</span>{' '}
          <bdi class="summary">{steady(alert.annotations.summary ?? alert.annotations.description ?? '')}</bdi>
        </p>
        <p class="tail">
          <Attention alert={alert} />
          <span class="labels" role="group" aria-label={t('labels')}>
            {Object.entries(alert.labels).map(([label, value]) =>
              label === 'alertname' || label === 'severity' || common?.has(label) ? null : <span key={label} class="label"><bdi>{visible(label)}={visible(value)}</bdi>{' '}</span>)}
          </span>
        </p>
      </div>
      <span class="value">{alert.value === undefined ? '' : quantity(alert.value, unitOfAlert(alert))}</span>
      <div class="when">
        <span class="severity">{visible(alert.severity)} · </span>
        <span class="state">{isGone ? t('goneNow') : stateText(alert.state)}</span>{' '}
        <Age alert={alert} />
        <Latency item={entry.latencyMs.value} />
      </div>
      <Actions alert={alert} isGone={isGone} />
    </>
  );
}

function Age({ alert }: { alert: Alert }) {
  const now = shownNow.value;
  const at = since(alert);
  const time = new Date(at);
  const stamp = Number.isNaN(time.getTime()) ? undefined : time;
  const lasted = alert.state === 'resolved' && alert.fired_at !== undefined ? t('for.resolved', { age: age(at - alert.fired_at) }) : '';
  const text = alert.state === 'resolved' ? t('for.resolvedAgo', { age: age(now - at) }) : t('for.firing', { age: age(now - at) });
  return (
    <>
      <time class="age" dateTime={stamp?.toISOString()} title={stamp && t('sinceTitle', { time: stamp.toLocaleString(locale()) })}>{text}</time>
      {lasted && <span class="lasted">{lasted}</span>}
    </>
  );
}

function Latency({ item: ms }: { item: number | null }) {
  return ms === null ? null : <span class="latency" title={t('latencyTitle')}>{t('latency', { n: Math.round(ms) })}</span>;
}

/** Who attends to it, and what keeps it quiet. */
function Attention({ alert }: { alert: Alert }) {
  const { acknowledged, assigned, comments, silenced_by: silences, inhibited_by: inhibitors } = alert;
  const parts: string[] = [];
  if (acknowledged) {
    const who = visible(acknowledged.by);
    parts.push(acknowledged.note ? t('hasNote', { who, note: steady(acknowledged.note) }) : t('has', { who }));
  }
  if (assigned) parts.push(t('assignedTo', { who: visible(assigned.to) }));
  if (comments) parts.push(t('comments', { n: comments.count }));
  if (silences?.length) parts.push(t('silencedBy', { n: silences.length }));
  if (inhibitors?.length) {
    const names = new Set(inhibitors.map((id) => (entryOf(id) ? nameOf(entryOf(id)!.alert.peek()) : id)));
    parts.push(t('inhibitedBy', { names: [...names].join(', ') }));
  }
  return parts.length > 0 ? <bdi class="attention">{parts.join(' · ')}</bdi> : null;
}

function Actions({ alert, isGone }: { alert: Alert; isGone: boolean }) {
  if (isGone || !isRaised(alert) || !mayAttend.value) return <div class="acts" />;
  const reason = obstacle.value;
  const taken = alert.acknowledged ? 'take-back' : 'acknowledge';
  return (
    <div class="acts">
      {([taken, 'silence'] as const).map((kind, place) => (
        // One that becomes another keeps the focus.
        <button key={place} type="button" disabled={reason !== ''} title={reason || undefined} onClick={() => actOn(kind, [alert])}>{t(kind)}</button>
      ))}
    </div>
  );
}
