// The six steps as a form: what it asks is what `bellwire advise` reads from a file.

import type { Signal } from '@preact/signals';
import type { Described, Infrastructure } from './data.js';
import { t } from './texts.js';

export const NEW_INFRASTRUCTURE: Infrastructure = { http2: true, proxies: 'unknown', websockets: 'unknown', team: 'http' };
export const NEW_FLOW: Described = { name: 'prices', down: '5/s', up: '0', bytes: 200, latency: '1s', client: 'browser', connections: 1_000, binary: false };

/** As many as a description has. */
const FLOWS_MAX = 64;

const PROXIES = ['unknown', 'none', 'stream', 'buffer'] as const;
const WEBSOCKETS = ['unknown', 'pass', 'blocked'] as const;
const TEAMS = ['http', 'websocket'] as const;
const CLIENTS = ['browser', 'app', 'program', 'device'] as const;

interface Props {
  infrastructure: Signal<Infrastructure>;
  flows: Signal<readonly Described[]>;
  decide(): void;
}

export function Form({ infrastructure, flows, decide }: Props) {
  const change = (index: number, changed: Partial<Described>) => {
    flows.value = flows.value.map((flow, at) => (at === index ? { ...flow, ...changed } : flow));
  };
  const onTheWay = (changed: Partial<Infrastructure>) => { infrastructure.value = { ...infrastructure.value, ...changed }; };
  const add = () => {
    const names = new Set(flows.value.map(({ name }) => name));
    let number = flows.value.length + 1;
    while (names.has(t('flowNumber', { n: number }))) number += 1;
    flows.value = [...flows.value, { ...NEW_FLOW, name: t('flowNumber', { n: number }) }];
  };
  const { http2, proxies, websockets, team } = infrastructure.value;
  return (
    <form class="panel" onSubmit={(event) => { event.preventDefault(); decide(); }}>
      <h2>{t('describe')}</h2>
      <ol class="steps">{([1, 2, 3, 4, 5, 6] as const).map((step) => <li key={step}>{t(`step${step}`)}</li>)}</ol>
      <fieldset>
        <legend>{t('step3')}</legend>
        <Choices label={t('proxies')} value={proxies} options={PROXIES} text={(name) => t(`proxies_${name}`)} choose={(value) => onTheWay({ proxies: value })} />
        <Choices label={t('websockets')} value={websockets} options={WEBSOCKETS} text={(name) => t(`websockets_${name}`)} choose={(value) => onTheWay({ websockets: value })} />
        <Choices label={t('team')} value={team} options={TEAMS} text={(name) => t(`team_${name}`)} choose={(value) => onTheWay({ team: value })} />
        <label class="check"><input type="checkbox" checked={http2} onChange={({ currentTarget }) => onTheWay({ http2: currentTarget.checked })} /> {t('http2')}</label>
      </fieldset>
      {flows.value.map((flow, index) => (
        <fieldset key={index}>
          <legend>{t('flowNumber', { n: index + 1 })}</legend>
          <Text label={t('flowName')} value={flow.name} most={100} input={(name) => change(index, { name })} />
          <Text label={t('downRate')} hint={t('rateHint')} value={flow.down} most={20} input={(down) => change(index, { down })} />
          <Text label={t('upRate')} hint={t('rateHint')} value={flow.up} most={20} input={(up) => change(index, { up })} />
          <Amount label={t('bytes')} value={flow.bytes} input={(bytes) => change(index, { bytes })} />
          <Text label={t('latency')} hint={t('latencyHint')} value={flow.latency} most={20} input={(latency) => change(index, { latency })} />
          <Choices label={t('client')} value={flow.client} options={CLIENTS} text={(name) => t(`client_${name}`)} choose={(client) => change(index, { client })} />
          <Amount label={t('connections')} value={flow.connections} input={(connections) => change(index, { connections })} />
          <label class="check"><input type="checkbox" checked={flow.binary} onChange={({ currentTarget }) => change(index, { binary: currentTarget.checked })} /> {t('binary')}</label>
          {flows.value.length > 1 && <button type="button" onClick={() => { flows.value = flows.value.filter((_, at) => at !== index); }}>{t('remove')}</button>}
        </fieldset>
      ))}
      <div class="ends">
        <button type="button" disabled={flows.value.length >= FLOWS_MAX} onClick={add}>{t('add')}</button>
        <button class="primary" type="submit">{t('decide')}</button>
      </div>
    </form>
  );
}

function Choices<Name extends string>({ label, value, options, text, choose }: { label: string; value: string; options: readonly Name[]; text(name: Name): string; choose(name: Name): void }) {
  return (
    <label>
      {label}
      <select value={value} onChange={({ currentTarget }) => choose(currentTarget.value as Name)}>
        {options.map((name) => <option key={name} value={name}>{text(name)}</option>)}
      </select>
    </label>
  );
}

function Text({ label, hint, value, most, input }: { label: string; hint?: string; value: string; most: number; input(value: string): void }) {
  return (
    <label>
      {label}
      <input type="text" dir="auto" required maxLength={most} value={value} placeholder={hint} title={hint} onInput={({ currentTarget }) => input(currentTarget.value)} />
    </label>
  );
}

function Amount({ label, value, input }: { label: string; value: number; input(value: number): void }) {
  return (
    <label>
      {label}
      <input type="number" min={1} step={1} required value={value} onInput={({ currentTarget }) => { if (currentTarget.validity.valid) input(currentTarget.valueAsNumber); }} />
    </label>
  );
}
