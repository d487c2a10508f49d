// The board as cells: one for each value of a label, such as a host, with its worst and how many.

import { computed, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { look, LOOKS, type Look } from '../format/severity.js';
import { visible } from '../format/visible.js';
import { proof } from '../stores/proof.js';
import { Sign } from '../ui/Sign.js';
import { Window } from '../ui/Window.js';
import { isAttended, watch } from './attention.js';
import { isPaused, model, ordered } from './engine.js';
import { worstOf } from './GroupRow.js';
import { type Item, laneOf } from './model.js';
import { t as overview } from './overview.js';
import { t } from './texts.js';
import { addMatcher, draft, filter, gridBy, setLayout } from './view.js';

export interface Cell {
  value: string;
  /** Those that fire and are not kept quiet. */
  looks: Record<Look, number>;
  /** All of them, and those that somebody has taken up. */
  burning: number;
  taken: number;
  /** Pending, muted, resolved. */
  others: number;
}

const byName = new Intl.Collator(undefined, { numeric: true });

/** Cells by value, in the order of names: there each is found again where it was. */
export function cellsOf(items: Iterable<Item>, label: string): Map<string, Cell> {
  const cells = new Map<string, Cell>();
  for (const { alert } of items) {
    const value = Object.hasOwn(alert.labels, label) ? alert.labels[label]! : '';
    let cell = cells.get(value);
    if (!cell) cells.set(value, (cell = { value, looks: { critical: 0, warning: 0, info: 0 }, burning: 0, taken: 0, others: 0 }));
    if (laneOf(alert.state) === 'firing') {
      cell.looks[look(alert.severity)] += 1;
      cell.burning += 1;
      if (alert.acknowledged) cell.taken += 1;
    } else cell.others += 1;
  }
  return new Map([...cells].sort(([a], [b]) => byName.compare(a, b)));
}

interface Line { key: string; cells: readonly Cell[] }

const KINDS = ['cells'] as const;

/** The cells to be seen: while somebody is at them, none comes and none goes. */
function useCells(): readonly Cell[] {
  const shown = useMemo(() => {
    let last: { label: string; cells: readonly Cell[] } | null = null;
    return computed(() => {
      const label = gridBy.value;
      void ordered.value;
      if (isPaused.value && last?.label === label) return last.cells;
      const now = cellsOf(model.value.items(), label);
      const held = isAttended.value && last?.label === label ? last.cells : null;
      const empty = (value: string): Cell => ({ value, looks: { critical: 0, warning: 0, info: 0 }, burning: 0, taken: 0, others: 0 });
      const cells = held ? held.map(({ value }) => now.get(value) ?? empty(value)) : [...now.values()];
      last = { label, cells };
      return cells;
    });
  }, []);
  return shown.value;
}

export function Grid() {
  const around = useRef<HTMLDivElement>(null);
  const columns = useSignal(1);
  const kept = useSignal<string | null>(null);
  useEffect(() => watch(around.current!), []);
  useEffect(() => {
    const element = around.current!;
    const measure = () => {
      const least = parseFloat(getComputedStyle(element).getPropertyValue('--cell')) || 150;
      columns.value = Math.max(1, Math.floor(element.clientWidth / least));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);
  const cells = useCells();
  const lines = useMemo(() => {
    const made: Line[] = [];
    for (let begin = 0; begin < cells.length; begin += columns.value) {
      made.push({ key: String(begin), cells: cells.slice(begin, begin + columns.value) });
    }
    return made;
  }, [cells, columns.value]);
  const label = gridBy.value;
  return (
    <div ref={around} class="rows grid" style={{ '--columns': String(columns.value) }}>
      <Window
        rows={lines} keyOf={({ key }) => key} kindOf={() => 'cells'} kinds={KINDS} attributes={() => ({})} kept={kept} label={overview('cells', { label: visible(label) })} class="lines"
        render={(line) => line.cells.map((cell) => <CellButton key={cell.value} cell={cell} label={label} />)}
      />
    </div>
  );
}

/** Whether a cell without one that fires is good news: all that is known is in it, and as it is now. */
const isSure = computed(() => proof.value.doubt === null && filter.value.matchers.length === 0 && draft.value.trim() === '' && !isPaused.value);

function CellButton({ cell, label }: { cell: Cell; label: string }) {
  const { value, looks, burning, taken } = cell;
  const worst = worstOf(looks);
  const name = value ? visible(value) : t('without', { label: visible(label) });
  const counts = LOOKS.filter((one) => looks[one] > 0).map((one) => t(`count.${one}`, { n: looks[one] })).join(', ');
  const what = burning > 0 ? counts : overview(isSure.value ? 'cellCalm' : 'cellUnsure');
  const open = () => {
    addMatcher({ name: label, operator: '=', value });
    setLayout('list');
  };
  return (
    <button class="cell" type="button" data-look={burning > 0 ? worst : undefined} data-taken={burning > 0 && taken === burning ? '' : undefined} title={overview('cell', { name, what })} onClick={open}>
      <Sign name={burning === 0 ? (isSure.value ? 'quiet' : 'unsure') : taken === burning ? 'acknowledged' : worst} />
      <bdi class="name">{name}</bdi>
      <span class="figure">{what}</span>
    </button>
  );
}
