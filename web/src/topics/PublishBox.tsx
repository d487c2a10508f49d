// A box to publish one event with. What it says is checked as it is written.

import { useState } from 'preact/hooks';
import { base } from '../stores/stream.js';
import { ask } from '../stores/ask.js';
import { announce } from '../ui/announce.js';
import { Copying } from '../ui/Copying.js';
import { reachable } from './paths.js';
import { publishing } from './snippets.js';
import { t } from './texts.js';

interface Props {
  topic: string;
  needsKey: boolean;
  isReserved: boolean;
  onPublished: () => void;
}

interface Published {
  cursor?: string;
  version?: string;
  duplicate?: boolean;
}

/** What is wrong with a text that is to be JSON; nothing where it is. */
export function wrong(text: string): string {
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

/** Headers are bytes, and `fetch` takes each character for one. */
const utf8 = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));

export function PublishBox({ topic, needsKey, isReserved, onPublished }: Props) {
  const [data, setData] = useState('{}');
  const [key, setKey] = useState('');
  const [isText, setText] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState<{ text: string; isWrong: boolean } | null>(null);
  const path = reachable(topic);
  if (isReserved || path === null) return <div class="panel"><h3>{t('publish')}</h3><p class="empty">{t(isReserved ? 'reserved' : 'dots')}</p></div>;
  const fault = isText ? '' : wrong(data);
  const lacksKey = needsKey && !key;
  const submit = async (event: globalThis.Event) => {
    event.preventDefault();
    if (fault || lacksKey || isBusy) return;
    setBusy(true);
    try {
      const headers: Record<string, string> = { 'content-type': isText ? 'text/plain' : 'application/json' };
      if (key) headers['bellwire-key'] = utf8(key);
      const { cursor = '', version, duplicate } = await ask<Published>(path, { method: 'POST', headers, body: data });
      const text = version ? t('written', { version }) : t(duplicate ? 'duplicate' : 'published', { cursor });
      setOutcome({ text, isWrong: false });
      announce(text);
      onPublished();
    } catch (error) {
      const text = t('failed', { detail: (error as Error).message });
      setOutcome({ text, isWrong: true });
      announce(text);
    }
    setBusy(false);
  };
  return (
    <div class="panel">
      <h3>{t('publish')}</h3>
      <form class="publish" onSubmit={(event) => void submit(event)}>
        <label>{t('key')} <input value={key} required={needsKey} onInput={(event) => setKey(event.currentTarget.value)} /></label>
        <label class="data">{t('data')} <span class="figure">{t('dataHint')}</span>
          <textarea class="code" rows={4} spellcheck={false} dir="auto" value={data} aria-invalid={fault !== ''} aria-describedby="publish-fault" onInput={(event) => setData(event.currentTarget.value)} />
        </label>
        <label class="check"><input type="checkbox" checked={isText} onChange={(event) => setText(event.currentTarget.checked)} /> {t('asText')}</label>
        <p id="publish-fault" class={fault ? 'error' : 'figure'}>{fault ? t('wrongJson', { detail: fault }) : lacksKey ? t('keyNeeded') : ''}</p>
        <div class="controls">
          <button type="submit" class="primary" disabled={fault !== '' || lacksKey || isBusy}>{isBusy ? t('sending') : t('send')}</button>
          <Copying texts={[[t('copyCurl'), publishing(base, topic, { data, key, isText })]]} />
        </div>
        {outcome && <p class={outcome.isWrong ? 'error' : 'done'}>{outcome.text}</p>}
      </form>
    </div>
  );
}
