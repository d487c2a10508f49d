// Nodes: which there are and which of them are there, how far each is, and what the log they share may lose.

import { useRef, useState } from 'preact/hooks';
import { age } from '../format/age.js';
import { count } from '../format/count.js';
import { visible } from '../format/visible.js';
import { ask } from '../stores/ask.js';
import { usePolled } from '../stores/polled.js';
import { adopt } from '../ui/adopt.js';
import { announce } from '../ui/announce.js';
import { Dialog } from '../ui/Dialog.js';
import '../ui/lists.js';
import { ticks } from '../ui/now.js';
import { Stale } from '../ui/Stale.js';
import { t } from './texts.js';
import { areMixed, type Beat, beats, lag, type Node, presence, type Told } from './told.js';
import style from './nodes.css' with { type: 'text' };

adopt(style);

/** Less often than nodes beat: two answers in a row with the same beat mean something. */
const EVERY_MS = 2_000;
const FLAG = '--cluster';

interface Shown {
  told: Told;
  beats: ReadonlyMap<string, Beat>;
}

export function Nodes() {
  const before = useRef<ReadonlyMap<string, Beat>>(new Map());
  const [forgotten, setForgotten] = useState<Node | null>(null);
  const polled = usePolled<Shown>(async (signal) => {
    const told = await ask<Told>('v1/nodes', { signal });
    before.current = beats(before.current, told.nodes, performance.now());
    return { told, beats: before.current };
  }, EVERY_MS);
  const shown = polled.answer.value;
  // Of nodes nothing more is known than was told last, so nobody falls silent while nothing is told.
  const now = polled.failure.value ? polled.at.value ?? 0 : Math.max(ticks.value, polled.at.value ?? 0);
  return (
    <div class="nodes">
      <section class="panel" aria-labelledby="nodes-title">
        <h1 id="nodes-title">{t('title')}</h1>
        <Stale of={polled} />
        {shown && (shown.told.cluster === undefined ? <Alone /> : <Cluster {...shown} now={now} onForget={setForgotten} />)}
      </section>
      {shown?.told.cluster !== undefined && <Log told={shown!.told} />}
      {forgotten && <Forget node={forgotten} onDone={polled.again} onClose={() => setForgotten(null)} />}
    </div>
  );
}

function Alone() {
  const [before, after] = t('aloneHint', { flag: '\n' }).split('\n');
  return <><p class="empty calm">{t('alone')}</p><p class="figure wrap">{before}<code>{FLAG}</code>{after}</p></>;
}

function Cluster({ told, beats: known, now, onForget }: Shown & { now: number; onForget: (node: Node) => void }) {
  const { nodes, cluster = '', epoch = '', desk } = told;
  return (
    <>
      <p class="figure wrap">{t('cluster', { name: visible(cluster) })} · {t('summary', { n: nodes.length })} · {t('epoch', { epoch })}</p>
      {areMixed(nodes) && <p class="said">{t('mixed')}</p>}
      {desk === null && <p class="said" role="status">{t('noDesk')}</p>}
      <div class="scrolls" tabIndex={0} role="group" aria-labelledby="nodes-title">
        <table class="listed">
          <thead><tr><th scope="col">{t('node')}</th><th scope="col">{t('state')}</th><th scope="col">{t('version')}</th><th scope="col">{t('address')}</th><th scope="col" class="number">{t('applied')}</th><th scope="col"><span class="unseen">{t('action')}</span></th></tr></thead>
          <tbody>{nodes.map((node) => <Row key={node.id} node={node} told={told} beat={known.get(node.id)} now={now} onForget={onForget} />)}</tbody>
        </table>
      </div>
    </>
  );
}

function Row({ node, told, beat, now, onForget }: { node: Node; told: Told; beat: Beat | undefined; now: number; onForget: (node: Node) => void }) {
  const isOwn = node.id === told.node;
  const is = isOwn ? 'there' : presence(beat, now);
  const behind = lag(node, told.nodes);
  return (
    <tr class={is === 'silent' ? 'nothing' : ''}>
      <th scope="row">{visible(node.id)}{isOwn && <> <span class="kind">{t('own')}</span></>}{node.id === told.desk && <> <span class="kind">{t('desk')}</span></>}{node.id === told.standby?.node && <> <span class="kind">{t(told.standby!.state === 'whole' ? 'standby' : 'copies')}</span></>}</th>
      <td>{is === 'silent' ? <b class="warn">{t('is.silent', { age: age(now - beat!.since) })}</b> : t(`is.${is}`)}</td>
      <td>{visible(node.version)}</td>
      <td><bdi>{visible(node.address)}</bdi></td>
      <td class="number">{behind === undefined ? t('unsaid') : behind === 0 ? t('upToDate') : count(behind)}</td>
      <td>{is === 'silent' && <button type="button" onClick={() => onForget(node)}>{t('forget')}</button>}</td>
    </tr>
  );
}

const STATES = ['following', 'starting', 'away', 'unfit', 'stuck', 'too_old'] as const;

function Log({ told: { engine = '', losses = [], standing, log } }: { told: Told }) {
  const state = STATES.find((one) => one === standing?.state);
  const isWell = standing?.state === 'following';
  return (
    <section class="panel" aria-labelledby="log-title">
      <h2 id="log-title">{t('engine')}</h2>
      <p class="figure wrap"><bdi>{visible(engine)}</bdi>{log && <> · {t('kept', { n: log.tail - log.trimmed, tail: count(log.tail) })}</>}</p>
      {standing && (
        <p class={isWell ? '' : 'said'} role={isWell ? undefined : 'status'}>
          {t('standing')}: {state ? t(`state.${state}`) : visible(standing.state)}{standing.lag ? <>, {t('behind', { n: standing.lag })}</> : ''}{standing.reason && <>: <bdi>{visible(standing.reason)}</bdi></>}
        </p>
      )}
      {losses.length === 0 ? <p class="empty calm">{t('noLosses')}</p> : (
        <div class="losses">
          <h3>{t('losses')}</h3>
          <ul>{losses.map((loss) => <li key={loss}><bdi>{visible(loss)}</bdi></li>)}</ul>
        </div>
      )}
    </section>
  );
}

function Forget({ node, onDone, onClose }: { node: Node; onDone: () => void; onClose: () => void }) {
  const [fault, setFault] = useState('');
  const send = async () => {
    try {
      await ask<unknown>(`v1/nodes/${encodeURIComponent(node.id)}`, { method: 'DELETE' });
    } catch (error) {
      return setFault(t('failed', { why: (error as Error).message }));
    }
    announce(t('forgotten', { node: visible(node.id) }));
    onDone();
    onClose();
  };
  return (
    <Dialog title={t('sure', { node: visible(node.id) })} onClose={onClose}>
      <p>{t('sureText')}</p>
      <p class="error" role="alert">{fault}</p>
      <p class="buttons"><button type="button" onClick={onClose}>{t('cancel')}</button><button type="button" class="danger" onClick={send}>{t('yes')}</button></p>
    </Dialog>
  );
}
