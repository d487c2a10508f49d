// Where the pages begin.

import { render } from 'preact';
import { effect } from '@preact/signals';
import { Frame } from './shell/Frame.js';
import { startRouting } from './shell/router.js';
import { followAlerts } from './stores/alerts.js';
import { followStatus } from './stores/status.js';
import { countAlerts } from './stores/totals.js';
import { openStream } from './stores/stream.js';
import { keepAnnouncing, keepTitle } from './board/telling.js';
import { language } from './text/text.js';
import { startTicking } from './ui/now.js';

const app = document.getElementById('app')!;

effect(() => { document.documentElement.lang = language.value; });
startTicking();
startRouting();
followAlerts();
countAlerts();
followStatus();
keepTitle();
keepAnnouncing();
openStream();
app.replaceChildren();
render(<Frame />, app);
