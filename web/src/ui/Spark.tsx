// A line as small as a word: how something has gone, without axes.

interface Props {
  points: readonly (readonly [x: number, y: number])[];
  /** Where the line begins and ends, where that is more than its points. */
  from?: number;
  to?: number;
  label: string;
}

const [WIDTH, HEIGHT, EDGE] = [160, 28, 2];

/** The line as pieces of a path: it breaks where a value is no number, and where none came for long. */
export function path(points: Props['points'], from: number, to: number, [width, height] = [WIDTH, HEIGHT]): string {
  const finite = points.filter(([, y]) => Number.isFinite(y));
  if (finite.length === 0) return '';
  let [least, most] = [Infinity, -Infinity];
  for (const [, y] of finite) [least, most] = [Math.min(least, y), Math.max(most, y)];
  const steps = points.slice(1).map(([x], index) => x - points[index]![0]).sort((a, b) => a - b);
  const usual = steps[Math.floor(steps.length / 2)] ?? 0;
  const x = (at: number) => EDGE + ((at - from) / (to - from || 1)) * (width - 2 * EDGE);
  // Very large values have differences that are no numbers: halves have.
  const y = (value: number) => (most === least ? height / 2 : EDGE + (1 - (value / 2 - least / 2) / (most / 2 - least / 2)) * (height - 2 * EDGE));
  let [text, isOpen, last] = ['', false, -Infinity];
  for (const [at, value] of points) {
    if (!Number.isFinite(value)) {
      isOpen = false;
      continue;
    }
    const goesOn = isOpen && at - last <= usual * 3;
    text += `${goesOn ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}${goesOn ? '' : 'h.01'}`;
    [isOpen, last] = [true, at];
  }
  return text;
}

export function Spark({ points, from = points[0]?.[0] ?? 0, to = points.at(-1)?.[0] ?? 1, label }: Props) {
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label} preserveAspectRatio="none">
      <path d={path(points, from, to)} />
    </svg>
  );
}
