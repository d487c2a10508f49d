// Grouping by several labels, in order: a dialog, since a list of choices has no room for all of them.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { visible } from '../format/visible.js';
import { texts } from '../text/text.js';
import { attend } from './attention.js';
import { labelNames } from './Filter.js';
import { t as common } from './texts.js';
import { grouping, setGrouping } from './view.js';

const t = texts({
  en: { labels: 'Labels, in order', apply: 'Group' },
  de: { labels: 'Labels, der Reihe nach', apply: 'Gruppieren' },
});

/** Names that are offered to press on; all may be typed. */
const OFFERED_MAX = 60;

const namesOf = (text: string) => text.split(',').map((name) => name.trim()).filter(Boolean);

export function AskLabels({ close }: { close(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const text = useSignal((grouping.value ?? []).join(', '));
  useEffect(() => {
    dialog.current?.showModal();
    return attend();
  }, []);
  const submit = (event: Event) => {
    event.preventDefault();
    const names = namesOf(text.value);
    setGrouping(names.length > 0 ? names : null);
    dialog.current?.close();
  };
  const add = (name: string) => { text.value = [...namesOf(text.value).filter((one) => one !== name), name].join(', '); };
  return (
    <dialog ref={dialog} aria-labelledby="ask-labels" onClose={close}>
      <form class="asked" onSubmit={submit}>
        <h2 id="ask-labels">{common('group')}</h2>
        <label>{t('labels')} <input value={text.value} autocomplete="off" autocapitalize="none" spellcheck={false} onInput={(event) => { text.value = event.currentTarget.value; }} /></label>
        <p class="names">{labelNames().slice(0, OFFERED_MAX).map((name) => <button key={name} type="button" onClick={() => add(name)}><bdi>{visible(name)}</bdi></button>)}</p>
        <p class="buttons"><button type="button" onClick={() => dialog.current?.close()}>{common('close')}</button> <button class="primary" type="submit">{t('apply')}</button></p>
      </form>
    </dialog>
  );
}
