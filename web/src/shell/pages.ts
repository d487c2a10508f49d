// All pages: what each is called, where it stands in the navigation, and how it is loaded.

import type { ComponentType } from 'preact';
import { Board } from '../board/Board.js';
import { texts } from '../text/text.js';

export interface Page {
  name: string;
  title: () => string;
  /** The board comes with the frame; all others when they are asked for. */
  load: () => ComponentType | Promise<ComponentType>;
  /** Whether the navigation leads to it. */
  isListed?: boolean;
}

const t = texts({
  en: { alerts: 'Alerts', history: 'History', silences: 'Silences', live: 'Live', topics: 'Topics', rules: 'Rules', connections: 'Connections', nodes: 'Nodes', access: 'Access', lab: 'Lab' },
  de: { alerts: 'Alarme', history: 'Verlauf', silences: 'Stummschaltungen', live: 'Live', topics: 'Topics', rules: 'Regeln', connections: 'Verbindungen', nodes: 'Knoten', access: 'Zugang', lab: 'Labor' },
});

export const PAGES: readonly Page[] = [
  { name: 'alerts', title: () => t('alerts'), load: () => Board },
  { name: 'history', title: () => t('history'), load: async () => (await import('../history/History.js')).History },
  { name: 'silences', title: () => t('silences'), load: async () => (await import('../silences/Silences.js')).Silences },
  { name: 'live', title: () => t('live'), load: async () => (await import('../live/Live.js')).Live },
  { name: 'topics', title: () => t('topics'), load: async () => (await import('../topics/Topics.js')).Topics },
  { name: 'rules', title: () => t('rules'), load: async () => (await import('../rules/Rules.js')).Rules },
  { name: 'connections', title: () => t('connections'), load: async () => (await import('../connections/Connections.js')).Connections },
  { name: 'nodes', title: () => t('nodes'), load: async () => (await import('../nodes/Nodes.js')).Nodes },
  { name: 'access', title: () => t('access'), load: async () => (await import('../access/Access.js')).Access },
  { name: 'advice', title: () => counsel('advice'), load: async () => (await import('../advice/Advice.js')).Advice },
  { name: 'lab', title: () => t('lab'), load: () => import('../lab/Lab.js').then(({ Lab }) => Lab) },
];

const counsel = texts({
  en: { advice: 'Advice' },
  de: { advice: 'Rat' },
});
