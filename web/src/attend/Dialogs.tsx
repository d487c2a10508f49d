// The dialog that is asked for: of one alert, or of many.

import type { Alert } from '@bellwire/client';
import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { visible } from '../format/visible.js';
import { lacking } from '../stores/who.js';
import { connection } from '../stores/stream.js';
import { announce } from '../ui/announce.js';
import { openModal } from '../ui/Dialog.js';
import { adopt } from '../ui/adopt.js';
import style from './attend.css' with { type: 'text' };
import { act, type Action, type Done } from './api.js';
import { author, isKnown, keepAuthor } from './author.js';
import { type AttendKind, attending } from './open.js';
import { SilenceForm } from './SilenceForm.js';
import { t } from './texts.js';

adopt(style);

const NAMED_MAX = 5;

export const closeAttend = () => { attending.value = null; };

export function Dialogs() {
  const asked = attending.value;
  if (!asked) return null;
  const { kind, alerts, silence } = asked;
  return kind === 'silence'
    ? <Frame key="silence" kind="silence" alerts={alerts}><SilenceForm alerts={alerts} {...(silence && { silence })} close={closeAttend} /></Frame>
    : <Frame key={kind} kind={kind} alerts={alerts}><ActForm kind={kind} alerts={alerts} /></Frame>;
}

interface FrameProps { kind: AttendKind; alerts: readonly Alert[]; children: ComponentChildren }

/** The dialog itself: its title, what it is about, and what it does. */
function Frame({ kind, alerts, children }: FrameProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const close = openModal(dialog.current!);
    dialog.current!.querySelector<HTMLElement>('[data-first]')?.focus();
    return close;
  }, []);
  return (
    <dialog ref={dialog} class="attend" aria-labelledby={`${id}-title`} onClose={closeAttend} onCancel={closeAttend}>
      <h2 id={`${id}-title`}>{t(`title.${kind}`)}</h2>
      <Subjects alerts={alerts} />
      <p class="figure what">{t(`what.${kind}`)}</p>
      {children}
    </dialog>
  );
}

const nameOf = ({ labels, fingerprint }: Alert) => visible(labels.alertname || fingerprint);

function Subjects({ alerts }: { alerts: readonly Alert[] }) {
  if (alerts.length === 0) return null;
  const [first] = alerts;
  if (alerts.length === 1) {
    const labels = Object.entries(first!.labels).filter(([name]) => name !== 'alertname');
    return (
      <p class="subjects">
        <b><bdi>{nameOf(first!)}</bdi></b>{' '}
        {labels.map(([name, value]) => <span key={name} class="label"><bdi>{visible(name)}={visible(value)}</bdi>{' '}</span>)}
      </p>
    );
  }
  const counts = new Map<string, number>();
  for (const alert of alerts) counts.set(nameOf(alert), (counts.get(nameOf(alert)) ?? 0) + 1);
  const names = [...counts].slice(0, NAMED_MAX);
  return (
    <p class="subjects">
      <b>{t('alerts', { n: alerts.length })}</b>{' '}
      {names.map(([name, count]) => <span key={name} class="label"><bdi>{name}</bdi>{count > 1 && ` × ${count}`}{' '}</span>)}
      {counts.size > NAMED_MAX && t('andMore', { n: counts.size - NAMED_MAX })}
    </p>
  );
}

/** Why nothing can be done now. */
export const obstacle = (): string => (connection.value.status === 'live' ? lacking('attend') : t('notLive'));

type Acting = Exclude<AttendKind, 'silence'>;

function ActForm({ kind, alerts }: { kind: Acting; alerts: readonly Alert[] }) {
  const by = useSignal(author());
  const to = useSignal('');
  const text = useSignal('');
  const work = useWork();
  const left = useRef<{ of: string; fingerprints: readonly string[] } | null>(null);
  /** Does it, and the second time with those alone that are left of the first. */
  const doIt = (action: Action) => void work.run(async () => {
    // Whoever names somebody else means all of them.
    const of = action.action === 'assign' ? `assign ${action.to}` : action.action;
    const known = left.current?.of === of ? left.current.fingerprints : alerts.map(({ fingerprint }) => fingerprint);
    const result = await act(action, known);
    left.current = { of, fingerprints: result.left };
    return result;
  });
  const submit = (event: Event) => {
    event.preventDefault();
    const action = actionOf(kind, by.value.trim(), to.value.trim(), text.value.trim());
    if (typeof action === 'string') return work.say(action);
    keepAuthor(by.value.trim());
    doIt(action);
  };
  const isAssigned = alerts.some(({ assigned }) => assigned);
  return (
    <form onSubmit={submit} noValidate>
      <Holders kind={kind} alerts={alerts} />
      {kind === 'assign' && <Field label={t('to')} value={to} isFirst max={255} beside={by.value && <button type="button" onClick={() => { to.value = by.value; }}>{t('me')}</button>} />}
      {kind === 'comment' && <Field label={t('text')} value={text} isFirst isLong max={4_096} />}
      {kind === 'acknowledge' && <Field label={t('note')} hint={t('optional')} value={text} isFirst={by.value !== ''} isLong max={4_096} />}
      {kind !== 'take-back' && <AuthorField value={by} isFirst={kind === 'acknowledge'} />}
      <Outcome work={work} />
      <div class="buttons">
        {kind === 'assign' && isAssigned && <button type="button" disabled={work.isBusy.value || obstacle() !== ''} onClick={() => doIt({ action: 'unassign' })}>{t('do.unassign')}</button>}
        <button type="button" onClick={closeAttend}>{work.hasPart.value ? t('close') : t('cancel')}</button>
        <button class="primary" type="submit" disabled={work.isBusy.value || obstacle() !== ''}>{work.isBusy.value ? t('working') : t(`do.${kind}`)}</button>
      </div>
    </form>
  );
}

/** What is to be done, or what is missing. */
function actionOf(kind: Acting, by: string, to: string, text: string): Action | string {
  if (kind === 'take-back') return { action: 'unacknowledge' };
  if (kind === 'assign' && !to) return t('toNeeded');
  if (kind === 'comment' && !text) return t('textNeeded');
  if (!by) return t('nameNeeded');
  if (kind === 'assign') return { action: 'assign', by, to };
  return kind === 'comment' ? { action: 'comment', by, text } : { action: 'acknowledge', by, note: text };
}

/** Who has taken them up already: they are taken over. */
function Holders({ kind, alerts }: { kind: Acting; alerts: readonly Alert[] }) {
  if (kind === 'comment') return null;
  const held = alerts.flatMap(({ acknowledged, assigned }) => (kind === 'assign' ? assigned?.to : acknowledged?.by) ?? []);
  if (held.length === 0) return null;
  const who = [...new Set(held)].slice(0, NAMED_MAX).map(visible).join(', ');
  return <p class="holders"><bdi>{alerts.length === 1 ? t('heldBy', { who }) : t('heldBySome', { n: held.length, who })}</bdi></p>;
}

interface FieldProps {
  label: string;
  value: { value: string };
  max: number;
  hint?: string;
  /** The focus begins there. */
  isFirst?: boolean;
  isLong?: boolean;
  beside?: ComponentChildren;
}

/** A field with its name above it. */
export function Field({ label, value, max, hint, isFirst, isLong, beside }: FieldProps) {
  const id = useId();
  const common = { id, dir: 'auto' as const, maxLength: max, value: value.value, 'data-first': isFirst ? '' : undefined };
  return (
    <div class="field">
      <label for={id}>{label}{hint && <span class="figure"> · {hint}</span>}</label>
      <div class="beside">
        {isLong
          ? <textarea {...common} rows={3} onInput={(event) => { value.value = event.currentTarget.value; }} />
          : <input {...common} type="text" autocomplete="off" onInput={(event) => { value.value = event.currentTarget.value; }} />}
        {beside}
      </div>
    </div>
  );
}

export function AuthorField({ value, isFirst = false }: { value: { value: string }; isFirst?: boolean }) {
  if (isKnown()) return null;
  return <Field label={t('by')} value={value} max={255} isFirst={isFirst && value.value === ''} />;
}

/** What is under way, and what became of it. */
export function useWork() {
  const isBusy = useSignal(false);
  const faults = useSignal<readonly string[]>([]);
  const hasPart = useSignal(false);
  const say = (fault: string) => { faults.value = [fault]; };
  /** Closes the dialog where all of it is done. */
  const run = async (work: () => Promise<Done | string>) => {
    if (isBusy.value) return;
    isBusy.value = true;
    faults.value = [];
    const mine = attending.peek();
    const isOpen = () => attending.peek() === mine;
    try {
      const result = await work();
      if (typeof result === 'string') announce(result);
      else if (result.done > 0) announce(t('done', { n: result.done }));
      const refused = typeof result === 'string' ? [] : [...result.refused];
      // Another dialog may be open by now.
      if (refused.length === 0) return isOpen() ? closeAttend() : undefined;
      hasPart.value = typeof result !== 'string' && result.done > 0;
      const told = refused.map(([why, n]) => t('refused', { n, why }));
      if (!isOpen()) announce(told.join(' '));
      faults.value = hasPart.value ? [t('done', { n: (result as Done).done }), ...told] : told;
    } catch (error) {
      say((error as Error).message);
      if (!isOpen()) announce((error as Error).message);
    } finally {
      isBusy.value = false;
    }
  };
  return { isBusy, faults, hasPart, say, run };
}

export function Outcome({ work }: { work: ReturnType<typeof useWork> }) {
  const reason = obstacle();
  const faults = reason ? [reason, ...work.faults.value] : work.faults.value;
  return <div class="error" role="alert">{faults.map((fault) => <p key={fault}><bdi>{fault}</bdi></p>)}</div>;
}
