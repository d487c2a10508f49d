// The board: what fires, and how anybody can be sure that nothing does.

import { useLayoutEffect } from 'preact/hooks';
import { alertsCount } from '../stores/alerts.js';
import { isCurrent } from '../stores/proof.js';
import { connection } from '../stores/stream.js';
import { Calm } from './Calm.js';
import { Counts } from './Counts.js';
import { laneCounts, startBoard } from './engine.js';
import { isHelpOpen, listenToKeys } from './keys.js';
import { List } from './List.js';
import { LANES } from './model.js';
import { Selected } from './Selected.js';
import { keepSelection } from './selection.js';
import { t } from './texts.js';
import { Toolbar } from './Toolbar.js';
import { isWall, layout } from './view.js';
import { lazy } from '../ui/lazy.js';
import { route } from '../shell/router.js';
import { themeOfWall } from '../shell/theme.js';

const Grid = lazy(async () => (await import('./Grid.js')).Grid);
const Help = lazy(async () => (await import('./Help.js')).Help);
const Wall = lazy(async () => (await import('./Wall.js')).Wall);

export function Board() {
  useLayoutEffect(startBoard, []);
  useLayoutEffect(keepSelection, []);
  const wall = isWall.value ? (route.value.parameters.get('wall') === 'light' ? 'light' : 'dark') : null;
  useLayoutEffect(() => {
    const { dataset } = document.documentElement;
    if (!wall) return;
    dataset.wall = wall;
    themeOfWall.value = wall;
    return () => {
      delete dataset.wall;
      themeOfWall.value = null;
    };
  }, [wall]);
  return wall ? <Wall /> : <Whole />;
}

function Whole() {
  useLayoutEffect(listenToKeys, []);
  useLayoutEffect(keepClear, []);
  const { hasBegun } = connection.value;
  const found = LANES.reduce((sum, lane) => sum + laneCounts.value[lane], 0);
  return (
    <section class="board" aria-labelledby="board-title" data-stale={hasBegun && !isCurrent() ? '' : undefined}>
      <header class="board-head">
        <h1 id="board-title">{t('title')}</h1>
        <Counts />
      </header>
      <Calm />
      <Toolbar />
      {found === 0 && hasBegun && alertsCount() > 0 && <p class="empty">{t('nothingMatches', { n: alertsCount() })}</p>}
      {layout.value === 'grid' ? <Grid /> : <List />}
      <Selected />
      {isHelpOpen.value && <Help />}
    </section>
  );
}

/** Tells the style how high the tools are where they stick to the top: nothing with the focus hides behind them. */
function keepClear(): () => void {
  const { style } = document.documentElement;
  const tools = document.querySelector('.tools')!;
  const measure = () => {
    const isSticky = getComputedStyle(tools).position === 'sticky';
    style.setProperty('--tools', isSticky ? `${Math.ceil(tools.getBoundingClientRect().height)}px` : '0px');
  };
  const observer = new ResizeObserver(measure);
  observer.observe(tools);
  return () => {
    observer.disconnect();
    style.removeProperty('--tools');
  };
}
