// The advice page: what the server makes of its own traffic, and of what the visitor describes.

import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { address } from '../shell/router.js';
import { base } from '../stores/stream.js';
import { adopt } from '../ui/adopt.js';
import { announce } from '../ui/announce.js';
import css from './advice.css' with { type: 'text' };
import { type Advice as AdviceAnswer, askAdvice, type Choice, type Described, type FlowAdvice, type Infrastructure, type KindAdvice, type ObservedAdvice, type Reason, Refused, transportOf } from './data.js';
import { Form, NEW_FLOW, NEW_INFRASTRUCTURE } from './Form.js';
import { reasonText } from './german.js';
import { bytesText, numberText } from './numbers.js';
import { t } from './texts.js';

adopt(css);

export function Advice() {
  return (
    <section class="advice">
      <h1>{t('title')}</h1>
      <p class="about">{t('about')} <a href={address('lab')}>{t('lab')}</a></p>
      <Traffic />
      <Flows />
    </section>
  );
}

function Traffic() {
  const observed = useSignal<ObservedAdvice | null>(null);
  const error = useSignal('');
  const look = () => askAdvice<ObservedAdvice>(base).then(
    (answer) => {
      observed.value = answer;
      error.value = '';
    },
    (fault) => { error.value = fault instanceof Refused && fault.status === 403 ? t('forbidden') : t('failed', { error: String(fault.message ?? fault) }); },
  );
  useEffect(() => { void look(); }, []);
  const seen = observed.value;
  return (
    <div class="panel">
      <h2 id="advice-traffic">{t('traffic')}</h2>
      <p class="figure wraps">
        {seen && t('of', { n: Math.max(1, Math.round(seen.seconds / 60)) })} <button type="button" onClick={() => void look()}>{t('refresh')}</button>
      </p>
      {error.value && <p class="empty" role="alert">{error.value}</p>}
      {seen?.traffic.length === 0 && <p class="empty">{t('noTraffic')}</p>}
      {seen && seen.traffic.length > 0 && (
        <div class="scrolled" role="region" aria-labelledby="advice-traffic" tabIndex={0}>
          <table class="traffic">
            <thead><tr>{(['over', 'kind', 'open', 'down', 'up', 'share', 'eachDown', 'eachUp', 'verdict'] as const).map((key) => <th key={key} scope="col">{t(key)}</th>)}</tr></thead>
            <tbody>{seen.traffic.map((kind) => <KindRow key={`${kind.carrier} ${kind.binary} ${kind.name}`} kind={kind} />)}</tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function KindRow({ kind }: { kind: KindAdvice }) {
  const { carrier, name, counts, down_share, verdict, choice, reasons } = kind;
  return (
    <tr data-carrier={carrier} data-verdict={verdict}>
      <th scope="row">{t(carrier)}</th>
      <td class="name" dir="auto">{name || t('nothingFollowed')}</td>
      <td>{numberText(counts.open)}</td>
      <td>{numberText(counts.events_down)}</td>
      <td>{numberText(counts.messages_up)}</td>
      <td>{down_share === null ? '–' : `${Math.round(down_share * 100)} %`}</td>
      <td>{numberText(kind.down_per_second_each)}</td>
      <td>{numberText(kind.up_per_second_each)}</td>
      <td class="said">
        <details>
          <summary><strong>{verdict === 'could_change' && choice ? t('could_change', { choice: t(choice) }) : t(verdict as 'fits')}</strong></summary>
          <ul>{reasons.map((reason) => <li key={reason.code}>{reasonText(reason)}</li>)}</ul>
        </details>
      </td>
    </tr>
  );
}

function Flows() {
  const infrastructure = useSignal<Infrastructure>(NEW_INFRASTRUCTURE);
  const flows = useSignal<readonly Described[]>([NEW_FLOW]);
  const advice = useSignal<AdviceAnswer | null>(null);
  const error = useSignal('');
  const decide = () => askAdvice<AdviceAnswer>(base, { infrastructure: infrastructure.value, flow: [...flows.value] }).then(
    (answer) => {
      advice.value = answer;
      error.value = '';
      announce(t('decided', { n: answer.flows.length }));
    },
    (fault) => {
      advice.value = null;
      error.value = t('failed', { error: String(fault.message ?? fault) });
    },
  );
  return (
    <>
      <Form infrastructure={infrastructure} flows={flows} decide={() => void decide()} />
      {error.value && <p class="panel error" role="alert">{error.value}</p>}
      {advice.value && (
        <div class="panel outcome">
          <h2>{t('outcome')}</h2>
          {advice.value.flows.map((flow) => <Outcome key={flow.flow.name} advice={flow} />)}
          <p class="figure wraps">{t('measured')}</p>
        </div>
      )}
    </>
  );
}

const Reasons = ({ title, reasons }: { title: string; reasons: readonly Reason[] }) => reasons.length === 0 ? null : (
  <>
    <h4>{title}</h4>
    <ul class="reasons">{reasons.map((reason) => <li key={reason.code}>{reasonText(reason)}</li>)}</ul>
  </>
);

function Outcome({ advice: { flow, choice, reasons, warnings, candidates } }: { advice: FlowAdvice }) {
  const nameOf = (transport: 'sse' | 'websocket' | 'long_poll'): Choice => (transport === transportOf(choice) ? choice : transport);
  return (
    <article data-choice={choice}>
      <h3><bdi>{flow.name}</bdi>: {t(choice)}</h3>
      <Reasons title={t('why')} reasons={reasons} />
      <Reasons title={t('lookOut')} reasons={warnings} />
      <div class="scrolled">
        <table>
          <caption>{t('costs')}, {t('ofClients', { n: flow.connections })}</caption>
          <thead><tr>{(['transport', 'bytesPerSecond', 'requestsPerSecond', 'memory', 'cores'] as const).map((key) => <th key={key} scope="col">{t(key)}</th>)}</tr></thead>
          <tbody>
            {candidates.map(({ transport, cost }) => (
              <tr key={transport} aria-current={transport === transportOf(choice) ? 'true' : undefined}>
                <th scope="row">{t(nameOf(transport))}{transport === transportOf(choice) && ` (${t('advised')})`}</th>
                <td>{bytesText(cost.bytes_per_second)}</td>
                <td>{numberText(cost.requests_per_second)}</td>
                <td>{bytesText(cost.memory_bytes)}</td>
                <td>{numberText(cost.cpu_cores)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </article>
  );
}
