// Buttons that copy a text each; where the browser does not let the page copy, the text is shown.

import { useState } from 'preact/hooks';
import { texts } from '../text/text.js';
import { announce } from './announce.js';

const t = texts({
  en: { copied: 'Copied', notCopied: 'This browser does not let the page copy. Here it is:' },
  de: { copied: 'Kopiert', notCopied: 'Dieser Browser lässt die Seite nicht kopieren. Hier ist es:' },
});

/** For so long a button says that it has copied. */
const SAID_MS = 2_000;

export function Copying({ texts: pairs }: { texts: readonly (readonly [label: string, text: string])[] }) {
  const [copied, setCopied] = useState<string | null>(null);
  const [shown, setShown] = useState<string | null>(null);
  const copy = async (label: string, text: string) => {
    try {
      await navigator.clipboard.writeText(text);
      setShown(null);
      setCopied(label);
      announce(t('copied'));
      setTimeout(() => setCopied(null), SAID_MS);
    } catch {
      setShown(text);
    }
  };
  return (
    <div class="copying">
      {pairs.map(([label, text]) => <button type="button" key={label} onClick={() => void copy(label, text)}>{copied === label ? `✓ ${t('copied')}` : label}</button>)}
      {shown !== null && <><p>{t('notCopied')}</p><pre class="snippet" tabIndex={0}>{shown}</pre></>}
    </div>
  );
}
