// The head of a lane: what is in it, and how many; it opens and closes.

import { laneCounts, toggleLane } from './engine.js';
import type { LaneName } from './model.js';
import { numeral } from '../text/filled.js';
import { language } from '../text/text.js';
import { t } from './texts.js';
import { openLanes } from './view.js';

export function LaneRow({ lane }: { lane: LaneName }) {
  const isOpen = openLanes.value.has(lane);
  return (
    <h2 class="lane-head">
      <button type="button" aria-expanded={isOpen} onClick={() => toggleLane(lane)} data-main>
        <svg class="turn" viewBox="0 0 24 24" aria-hidden="true"><path d="m9 5 7 7-7 7z" /></svg>
        {t(`lane.${lane}`)} <span class="size">{numeral(laneCounts.value[lane], language.value)}</span>
      </button>
    </h2>
  );
}
