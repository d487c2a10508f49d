// Who somebody is here and what they may do; for administrators, keys, what was taken back, and who did what.

import { lacking, lacks, who } from '../stores/who.js';
import { texts } from '../text/text.js';
import { Audit } from './Audit.js';
import { Keys } from './Keys.js';
import { Revocations } from './Revocations.js';
import { Rights } from './Rights.js';
import { You } from './You.js';

const t = texts({
  en: {
    title: 'Access', open: 'This server asks nobody who they are: whoever reaches it may do everything. With [access] in its configuration it asks.',
    how: 'To begin: `bellwire key make` and `bellwire user add` print what belongs there.', unknown: 'Who you are is not known yet.',
    admins: 'Keys, revocations and the audit',
  },
  de: {
    title: 'Zugang', open: 'Dieser Server fragt niemanden, wer er ist: Wer ihn erreicht, darf alles. Mit [access] in seiner Konfiguration fragt er.',
    how: 'Zum Anfangen: `bellwire key make` und `bellwire user add` geben aus, was dort hineingehört.', unknown: 'Wer du bist, ist noch nicht bekannt.',
    admins: 'Schlüssel, Widerrufe und das Protokoll',
  },
});

export function Access() {
  const now = who.value;
  return (
    <div class="access">
      <h1>{t('title')}</h1>
      {!now && <p class="empty">{t('unknown')}</p>}
      {now?.means === 'open' && <p class="panel">{t('open')}<br />{t('how')}</p>}
      {now && <div class="beside"><You who={now} /><Rights who={now} /></div>}
      {now && now.means !== 'open' && <Administration />}
    </div>
  );
}

function Administration() {
  if (lacks('admin')) {
    return <section class="panel" aria-labelledby="admin-title"><h2 id="admin-title">{t('admins')}</h2><p class="empty">{lacking('admin')}</p></section>;
  }
  return (
    <>
      <Keys />
      <Revocations />
      <Audit />
    </>
  );
}
