// Many alerts of a kind in one row: how many, how bad, what they have in common, and who is on it.

import type { Alert } from '@bellwire/client';
import { computed } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { age } from '../format/age.js';
import { LOOKS, type Look } from '../format/severity.js';
import { visible } from '../format/visible.js';
import { numeral } from '../text/filled.js';
import { language } from '../text/text.js';
import { Breakable } from '../ui/Breakable.js';
import { Sign } from '../ui/Sign.js';
import { actOn, isRaised, mayAttend, obstacle } from './acting.js';
import { stateText } from './AlertRow.js';
import { isPaused, shownNow, toggleGroup } from './engine.js';
import type { Group } from './model.js';
import { selection, toggleSelected } from './selection.js';
import { t } from './texts.js';

interface Facts {
  size: number;
  alerts: readonly Alert[];
  looks: Record<Look, number>;
  states: [string, number][];
  takers: [string, number][];
  shared: [string, string][];
  newest: number;
  oldest: number;
}

function factsOf(group: Group): Facts {
  return {
    size: group.items.length,
    alerts: group.items.map(({ alert }) => alert),
    looks: { ...group.looks },
    states: [...group.states],
    takers: [...group.takers],
    shared: group.labels.shared().filter(([name]) => name !== 'severity' && !group.by.some(([label]) => label === name)),
    newest: group.items.reduce((newest, item) => Math.max(newest, item.since), 0),
    oldest: group.items.reduce((oldest, item) => Math.min(oldest, item.since), Infinity),
  };
}

/** As it is now; while all is held, as it was when this was shown last. */
function useFacts(group: Group): Facts {
  const facts = useMemo(() => {
    let last: Facts | null = null;
    return computed(() => {
      if (isPaused.value && last) return last;
      void group.version.value;
      return (last = factsOf(group));
    });
  }, [group]);
  return facts.value;
}

/** What a group is called: the values that it is grouped by. */
export const titleOf = ({ by }: Group): string =>
  by.map(([name, value]) => (value ? (name === 'alertname' ? visible(value) : `${visible(name)}=${visible(value)}`) : t('without', { label: visible(name) }))).join(' · ');

export const worstOf = (looks: Record<Look, number>): Look => LOOKS.find((one) => looks[one] > 0) ?? 'info';

/** Counts by severity, each with its shape and its word. */
export function Looks({ looks }: { looks: Record<Look, number> }) {
  return (
    <span class="looks">
      {LOOKS.map((one) => looks[one] > 0 && <span key={one} class="count" data-look={one}><Sign name={one} /> {t(`count.${one}`, { n: looks[one] })}</span>)}
    </span>
  );
}

/** Who is to see to any of them, and how much was said. */
export function Care({ alerts }: { alerts: readonly Alert[] }) {
  const assigned = new Set(alerts.flatMap(({ assigned }) => (assigned ? visible(assigned.to) : [])));
  const comments = alerts.reduce((sum, { comments }) => sum + (comments?.count ?? 0), 0);
  const parts = [assigned.size > 0 && t('assignedTo', { who: [...assigned].slice(0, 3).join(', ') }), comments > 0 && t('comments', { n: comments })].filter(Boolean);
  return parts.length > 0 ? <bdi class="attention">{parts.join(' · ')}</bdi> : null;
}

export function GroupRow({ group, isOpen }: { group: Group; isOpen: boolean }) {
  const { size, alerts, looks, states, takers, shared, newest, oldest } = useFacts(group);
  const name = titleOf(group);
  const fingerprints = () => group.items.map(({ entry }) => entry.fingerprint);
  const picked = group.items.filter(({ entry }) => selection.value.has(entry.fingerprint)).length;
  const isOver = group.lane === 'resolved';
  return (
    <>
      <label class="pick"><input type="checkbox" checked={size > 0 && picked === size} indeterminate={picked > 0 && picked < size} aria-label={t('selectAll', { name })} onChange={() => toggleSelected(fingerprints())} /></label>
      <Sign name={isOver ? 'resolved' : worstOf(looks)} />
      <div class="what">
        <p class="head">
          <button class="name" type="button" aria-expanded={isOpen} title={t(isOpen ? 'collapse' : 'expand', { name, n: size })} onClick={() => toggleGroup(group)} data-main>
            <svg class="turn" viewBox="0 0 24 24" aria-hidden="true"><path d="m9 5 7 7-7 7z" /></svg>
            <bdi><Breakable text={name} /></bdi>
          </button>{' '}
          <span class="size">{t('alertsCount', { n: size })}</span>{' '}
          {!isOver && <Looks looks={looks} />}
        </p>
        <p class="tail">
          {takers.length > 0 && <bdi class="attention">{t('hasSome', { who: takers.slice(0, 3).map(([who]) => visible(who)).join(', '), n: takers.reduce((sum, [, count]) => sum + count, 0) })}</bdi>}
          <Care alerts={alerts} />
          <span class="labels" role="group" aria-label={t('labels')}>{shared.map(([label, value]) => <span key={label} class="label"><bdi>{visible(label)}={visible(value)}</bdi>{' '}</span>)}</span>
        </p>
      </div>
      <span class="value">{!isOver && states.length > 1 && states.map(([state, count]) => `${numeral(count, language.value)} ${stateText(state)}`).join(', ')}</span>
      <div class="when">
        <span class="state">{states.length === 1 ? stateText(states[0]![0]) : ''}</span>{' '}
        <span class="age">{size > 0 && t(isOver ? 'for.resolvedAgo' : 'for.firing', { age: age(shownNow.value - (isOver ? newest : oldest)) })}</span>
        {!isOver && newest > oldest && <span class="lasted">{t('newest', { age: age(shownNow.value - newest) })}</span>}
      </div>
      <GroupActions group={group} />
    </>
  );
}

function GroupActions({ group }: { group: Group }) {
  if (group.lane === 'resolved' || group.lane === 'pending' || !mayAttend.value) return <div class="acts" />;
  const reason = obstacle.value;
  const act = (kind: 'acknowledge' | 'silence') => actOn(kind, group.items.map(({ alert }) => alert).filter(isRaised));
  return (
    <div class="acts">
      {(['acknowledge', 'silence'] as const).map((kind) => (
        <button key={kind} type="button" disabled={reason !== ''} title={reason || undefined} onClick={() => act(kind)}>{t(kind)}</button>
      ))}
    </div>
  );
}
