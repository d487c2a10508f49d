// One topic, or all of a pattern: its figures, what comes on it, what it holds, and what to publish.

import { useState } from 'preact/hooks';
import { age } from '../format/age.js';
import { bytes, rate } from '../format/count.js';
import { visible } from '../format/visible.js';
import { address, route } from '../shell/router.js';
import { serverTimeOf } from '../stores/clock.js';
import { base } from '../stores/stream.js';
import { Copying } from '../ui/Copying.js';
import { ticks } from '../ui/now.js';
import type { Listed } from './listing.js';
import { PublishBox } from './PublishBox.js';
import { curl, eventSource, javascript } from './snippets.js';
import { TailPane } from './TailPane.js';
import { t } from './texts.js';
import { ValuesTable } from './ValuesTable.js';

/** Topics that begin so are the server's: they are read, and nobody publishes to them. */
const RESERVED = /^(?:alerts|presence|query|rules|samples)(?:\/|$)|^\$/;
/** Those of them that hold values. */
const OWN_STATE = /^(?:alerts\/active$|(?:samples|rules|query|presence)\/|\$sys\/(?!audit$))/;

export function TopicPane({ topic, listed }: { topic: string; listed: Listed | null }) {
  const isPattern = topic.includes('*');
  const isState = listed ? listed.kind === 'state' : OWN_STATE.test(topic);
  const [publishedAt, setPublishedAt] = useState(0);
  return (
    <>
      <div class="panel">
        <a class="back" href={address('topics', [], route.value.parameters)}>{t('back')}</a>
        <h2 class="topic-name"><bdi>{visible(topic)}</bdi></h2>
        {listed ? <Figures of={listed} /> : <p class="figure wrap">{t('notListed')}</p>}
        <Copying texts={[[t('copyCurl'), curl(base, topic)], [t('copyJs'), javascript(base, topic)], [t('copySource'), eventSource(base, topic)]]} />
      </div>
      {isState && !isPattern && <ValuesTable topic={topic} keys={listed?.size ?? null} hurry={publishedAt} />}
      <TailPane filter={topic} isState={isState} />
      {!isPattern && <PublishBox topic={topic} needsKey={isState} isReserved={RESERVED.test(topic)} onPublished={() => setPublishedAt(performance.now())} />}
    </>
  );
}

function Figures({ of }: { of: Listed }) {
  const facts = [
    of.size !== null && t(of.kind === 'stream' ? 'events' : 'keys', { n: of.size }),
    of.bytes !== null && bytes(of.bytes),
    of.perSecond !== null && t(of.kind === 'stream' ? 'perSecond' : 'changes', { rate: rate(of.perSecond) }),
    of.lastAt !== null && t('last', { age: age(serverTimeOf(ticks.value) - of.lastAt) }),
    of.subscribers !== null && t('subscribers', { n: of.subscribers }),
    of.durability && t(of.durability === 'disk' ? 'onDisk' : 'inMemory'),
  ];
  return (
    <p class="figure wrap">
      <span class="kind" data-kind={of.kind}>{t(of.kind)}</span>{of.hasEnded && <> <span class="kind">{t('ended')}</span></>} {facts.filter(Boolean).join(' · ')}
    </p>
  );
}
