// Where the pages begin.

import { render } from 'preact';
import { effect } from '@preact/signals';
import { keepAnnouncing, keepTitle } from './board/telling.js';
import { notifyBehindLook } from './notify/early.js';
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
import { countAlerts } from './stores/totals.js';
import { watchWho } from './stores/who.js';
import { language, languageCame } from './text/text.js';
import { startTicking } from './ui/now.js';

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
notifyBehindLook();
