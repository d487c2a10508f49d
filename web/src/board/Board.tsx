// The board: what fires, and how anybody can be sure that nothing does.

import { alerts } from '../stores/alerts.js';
import { texts } from '../text/text.js';

const t = texts({
  en: { title: 'Alerts' },
  de: { title: 'Alarme' },
});

export function Board() {
  return (
    <section class="panel" aria-labelledby="board-title">
      <h1 id="board-title">{t('title')}</h1>
      <ul>
        {[...alerts.value.values()].map((alert) => (
          <li key={alert.fingerprint}><b>{alert.labels.alertname}</b> {alert.state} <bdi>{alert.severity}</bdi></li>
        ))}
      </ul>
    </section>
  );
}
