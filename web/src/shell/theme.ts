// Light or dark: as the system has it, or as somebody has chosen.

import { effect, signal } from '@preact/signals';
import { recall, remember } from '../ui/storage.js';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const KEY = 'theme';

const kept = recall(KEY);

export const theme = signal<Theme>(THEMES.find((name) => name === kept) ?? 'system');

/** As a wall has it, whatever the system or somebody at this browser has. */
export const themeOfWall = signal<'light' | 'dark' | null>(null);

export function chooseTheme(name: Theme): void {
  theme.value = name;
  remember(KEY, name === 'system' ? null : name);
}

/** Shows the page so, and so it is in all tabs. A script in the page itself has done it before anything was drawn. */
export function keepTheme(): void {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const ofSystem = signal(dark.matches);
  dark.addEventListener('change', ({ matches }) => { ofSystem.value = matches; });
  effect(() => {
    document.documentElement.dataset.theme = themeOfWall.value ?? (theme.value === 'system' ? (ofSystem.value ? 'dark' : 'light') : theme.value);
  });
  addEventListener('storage', ({ key }) => {
    if (key === `bellwire-${KEY}`) theme.value = THEMES.find((name) => name === recall(KEY)) ?? 'system';
  });
}
