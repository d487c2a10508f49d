// Topics: what there is, how much comes on each, what comes on one live, and what it holds.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { usePolled } from '../stores/polled.js';
import { base } from '../stores/stream.js';
import { address, go, route, setParameters } from '../shell/router.js';
import { adopt } from '../ui/adopt.js';
import '../ui/lists.js';
import { Stale } from '../ui/Stale.js';
import { Found, Tree } from './Tree.js';
import { type Changes, list, type Listed, type Listing, NO_CHANGES, read } from './listing.js';
import { publishing } from './snippets.js';
import { search, tree } from './nodes.js';
import { t } from './texts.js';
import { TopicPane } from './TopicPane.js';
import style from './topics.css' with { type: 'text' };

adopt(style);

/** How often few topics are listed anew, and how often many. */
const EVERY_MS = { few: 5_000, many: 30_000 };
const FEW = 2_000;
/** Topics that are shown of those that were found. */
const FOUND_MAX = 100;

export function Topics() {
  const prefix = route.value.parameters.get('prefix') ?? '';
  const hasOwn = route.value.parameters.has('own');
  const chosen = route.value.rest.join('/');
  const changes = useRef<Changes>(NO_CHANGES);
  const isLarge = useRef(false);
  const polled = usePolled<Listing>(async (signal) => {
    const [told, own] = await Promise.all([list(prefix, signal), hasOwn && !prefix ? list('$', signal) : null]);
    const now = performance.now();
    // All of the server's own, or none.
    const others = told.told.filter(({ topic }) => prefix || !topic.startsWith('$'));
    const all = own ? [...own.told, ...others] : others;
    const listed = read(all, changes.current, now);
    changes.current = listed.changes;
    isLarge.current = all.length > FEW;
    return { topics: listed.topics, isCut: told.isCut };
  }, () => (isLarge.current ? EVERY_MS.many : EVERY_MS.few), `${prefix}\n${hasOwn}`);
  const listing = polled.answer.value;
  const [query, setQuery] = useState('');
  const found = useMemo(() => (query.trim() && listing ? search(query.trim(), listing.topics, FOUND_MAX) : null), [query, listing]);
  const root = useMemo(() => (listing ? tree(listing.topics) : null), [listing]);
  const known = useMemo(() => listing?.topics.find(({ topic }) => topic === chosen) ?? null, [listing, chosen]);
  return (
    <div class={`topics${chosen ? ' has-chosen' : ''}`}>
      <section class="panel all-topics" aria-labelledby="topics-title">
        <h1 id="topics-title">{t('title')} {listing && <span class="figure">{t('all', { n: listing.topics.length })}</span>}</h1>
        <div class="finders">
          <label>{t('find')} <input type="search" value={query} placeholder={t('findHint')} onInput={(event) => setQuery(event.currentTarget.value)} /></label>
          <label class="check"><input type="checkbox" checked={hasOwn} onChange={(event) => setParameters({ own: event.currentTarget.checked ? '1' : null })} /> {t('own')}</label>
        </div>
        {(listing?.isCut || prefix) && <Prefix prefix={prefix} topics={listing?.topics ?? []} isCut={listing?.isCut ?? false} />}
        <Stale of={polled} />
        {found && <Found matches={found.matches} count={found.count} chosen={chosen} />}
        {!found && root && root.children.length > 0 && <Tree root={root} chosen={chosen} />}
        {!found && listing?.topics.length === 0 && <Empty prefix={prefix} />}
      </section>
      <section class="topic-pane">
        {chosen ? <TopicPane key={chosen} topic={chosen} listed={known} /> : <Choose />}
      </section>
    </div>
  );
}

/** Of more topics than are loaded, one sees those that begin with something. */
function Prefix({ prefix, topics, isCut }: { prefix: string; topics: readonly Listed[]; isCut: boolean }) {
  const [text, setText] = useState(prefix);
  useEffect(() => setText(prefix), [prefix]);
  const submit = (event: Event) => {
    event.preventDefault();
    setParameters({ prefix: text });
  };
  return (
    <form class="prefix" onSubmit={submit}>
      {isCut && <p>{t('cut', { n: topics.length })}</p>}
      <label>{t('begins')} <input value={text} onInput={(event) => setText(event.currentTarget.value)} /></label> <button type="submit">{t('narrow')}</button>
    </form>
  );
}

function Empty({ prefix }: { prefix: string }) {
  if (prefix) return <p class="empty">{t('noneBegins', { prefix })}</p>;
  return (
    <>
      <p class="empty">{t('none')}</p>
      <pre class="snippet">{publishing(base, 'chat/general', { data: '{"text":"hello"}', key: '' })}</pre>
    </>
  );
}

function Choose() {
  const [text, setText] = useState('');
  const submit = (event: Event) => {
    event.preventDefault();
    if (text.trim()) go(address('topics', [text.trim()], route.value.parameters));
  };
  return (
    <div class="panel">
      <p class="empty">{t('choose')}</p>
      <form class="prefix" onSubmit={submit}>
        <label>{t('pattern')} <input value={text} placeholder="chat/**" onInput={(event) => setText(event.currentTarget.value)} /></label> <button type="submit">{t('follow')}</button>
      </form>
    </div>
  );
}
