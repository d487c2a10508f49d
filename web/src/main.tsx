// Where the pages begin.

import { render } from 'preact';
import { computed, effect } from '@preact/signals';
import { keepAnnouncing, keepTitle } from './board/telling.js';
import { Frame } from './shell/Frame.js';
import { keepIcon } from './shell/icon.js';
import { startRouting } from './shell/router.js';
import { keepTheme } from './shell/theme.js';
import { watchTyping } from './shell/typing.js';
import { followAlerts } from './stores/alerts.js';
import { watchFaults } from './stores/faults.js';
import { followPresence } from './stores/presence.js';
import { tieStreamToWho } from './stores/session.js';
import { followStatus } from './stores/status.js';
import { connection } from './stores/stream.js';
import { countAlerts } from './stores/totals.js';
import { watchWho } from './stores/who.js';
import { language, languageCame } from './text/text.js';
import { startTicking } from './ui/now.js';

/** How long the first look takes once all values have come, and how long it is waited for. */
const LOOK_MS = 200;
const LOOK_MAX_MS = 4_000;

const hasBegun = computed(() => connection.value.hasBegun);
const app = document.getElementById('app')!;

watchFaults();
effect(() => { document.documentElement.lang = language.value; });
keepTheme();
startTicking();
startRouting();
watchTyping();
followAlerts();
countAlerts();
followStatus();
followPresence();
keepTitle();
keepIcon();
keepAnnouncing();
tieStreamToWho();
watchWho();
void languageCame().then(() => {
  app.replaceChildren();
  render(<Frame />, app);
});
// It is for what comes behind the first look, and would be in its way.
let isNotifying = false;
const notify = () => {
  if (isNotifying) return;
  isNotifying = true;
  void import('./notify/start.js').then(({ startNotifying }) => startNotifying(), () => {});
};
setTimeout(notify, LOOK_MAX_MS);
effect(() => { if (hasBegun.value) setTimeout(notify, LOOK_MS); });
