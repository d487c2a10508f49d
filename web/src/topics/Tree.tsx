// The tree of topics, opened branch by branch, and the list of those that were found.

import { useMemo, useState } from 'preact/hooks';
import { about, rate } from '../format/count.js';
import { visible } from '../format/visible.js';
import { address, route } from '../shell/router.js';
import type { Listed } from './listing.js';
import { t } from './texts.js';
import { compact, type Match, type Node, pieces } from './nodes.js';

/** Children of a branch that are shown at first, and that each press adds. */
const CHILDREN_MAX = 100;
/** A tree of no more topics is open at first. */
const OPEN_MAX = 40;

interface Opened {
  isOpen(path: string): boolean;
  toggle(path: string): void;
  shown(path: string): number;
  more(path: string): void;
}

export function Tree({ root, chosen }: { root: Node; chosen: string }) {
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set());
  const [shown, setShown] = useState<ReadonlyMap<string, number>>(new Map());
  const isSmall = root.topics <= OPEN_MAX;
  const opened: Opened = {
    isOpen: (path) => toggled.has(path) !== (isSmall || chosen.startsWith(`${path}/`)),
    toggle: (path) => setToggled((before) => {
      const next = new Set(before);
      if (!next.delete(path)) next.add(path);
      return next;
    }),
    shown: (path) => shown.get(path) ?? CHILDREN_MAX,
    more: (path) => setShown((before) => new Map(before).set(path, (before.get(path) ?? CHILDREN_MAX) + CHILDREN_MAX)),
  };
  return <div class="tree" role="group" aria-label={t('tree')}><Branch of={root} opened={opened} chosen={chosen} /></div>;
}

function Branch({ of, opened, chosen }: { of: Node; opened: Opened; chosen: string }) {
  const most = opened.shown(of.path);
  const children = useMemo(() => of.children.slice(0, most).map(compact), [of, most]);
  const left = of.children.length - children.length;
  return (
    <ul>
      {children.map((child) => <Twig key={child.path} of={child} opened={opened} chosen={chosen} />)}
      {left > 0 && <li><button type="button" class="quiet" onClick={() => opened.more(of.path)}>{t('more', { n: Math.min(left, CHILDREN_MAX) })}</button></li>}
    </ul>
  );
}

function Twig({ of, opened, chosen }: { of: Node; opened: Opened; chosen: string }) {
  const isOpen = of.children.length > 0 && opened.isOpen(of.path);
  const name = <bdi>{visible(of.name)}</bdi>;
  return (
    <li>
      <div class="twig">
        {of.children.length > 0
          ? <button type="button" class="quiet fold" aria-expanded={isOpen} onClick={() => opened.toggle(of.path)}><span class="mark" aria-hidden="true" />{of.topic ? <span class="unseen">{visible(of.name)}</span> : name}</button>
          : <span class="fold" aria-hidden="true" />}
        {of.topic && <TopicLink topic={of.topic.topic} isChosen={of.topic.topic === chosen}>{name}</TopicLink>}
        {of.topic ? <Facts of={of.topic} /> : <span class="figure">{t('below', { n: of.topics })}</span>}
        <span class="figure rate">{of.perSecond >= 0.01 ? rate(of.perSecond) : ''}</span>
      </div>
      {isOpen && <Branch of={of} opened={opened} chosen={chosen} />}
    </li>
  );
}

function TopicLink({ topic, isChosen, children }: { topic: string; isChosen: boolean; children: preact.ComponentChildren }) {
  return <a class="topic-link" href={address('topics', [topic], route.value.parameters)} aria-current={isChosen ? 'true' : undefined}>{children}</a>;
}

function Facts({ of }: { of: Listed }) {
  return (
    <span class="figure facts">
      <span class="kind" data-kind={of.kind}>{t(of.kind)}</span>
      {of.hasEnded && <span class="kind">{t('ended')}</span>}
      {of.size !== null && <span title={t(of.kind === 'stream' ? 'events' : 'keys', { n: of.size })}>{about(of.size)}</span>}
    </span>
  );
}

export function Found({ matches, count, chosen }: { matches: readonly Match[]; count: number; chosen: string }) {
  if (count === 0) return <p class="empty" role="status">{t('noneFound')}</p>;
  return (
    <>
      <p class="figure" role="status">{t('found', { n: count })}{count > matches.length && `, ${t('best', { n: matches.length })}`}</p>
      <ul class="found">
        {matches.map(({ topic, at }) => (
          <li class="twig" key={topic.topic}>
            <TopicLink topic={topic.topic} isChosen={topic.topic === chosen}>
              <bdi>{pieces(topic.topic, at).map((piece, index) => (index % 2 ? <mark>{visible(piece)}</mark> : visible(piece)))}</bdi>
            </TopicLink>
            <Facts of={topic} />
            <span class="figure rate">{(topic.perSecond ?? 0) >= 0.01 ? rate(topic.perSecond!) : ''}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
