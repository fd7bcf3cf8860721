/** Where figures stand in a picture, and which round figures are written beside it. */

/** Below this ratio of largest to smallest a straight scale shows everything. */
const LOG_RATIO_MIN = 12;

/** Where values stand between the edges of a picture, 0 to 1, and the values of even ticks. */
export interface Scale {
  readonly isLog: boolean;
  readonly min: number;
  readonly max: number;
  readonly position: (value: number) => number;
  readonly value: (position: number) => number;
}

/** Less than any figure here means: nothing. A logarithm of it would say otherwise. */
function withoutDust(value: number): number {
  return Math.abs(value) < 1e-12 ? 0 : value;
}

export function makeScale(values: readonly number[]): Scale {
  const smallest = withoutDust(Math.min(...values));
  const largest = withoutDust(Math.max(...values));
  const isLog = smallest > 0 && largest / smallest >= LOG_RATIO_MIN;
  const to = isLog ? Math.log : (value: number) => value;
  const back = isLog ? Math.exp : (value: number) => value;
  const span = to(largest) - to(smallest);
  const isFlat = span <= Math.max(1e-12, Math.abs(to(largest)) * 1e-9);
  // A little air on both sides; a single value stands in the middle.
  const air = isFlat ? Math.max(Math.abs(to(largest)) * 0.5, 1e-6) : span * 0.06;
  const low = isLog || smallest < 0 ? to(smallest) - air : Math.max(0, smallest - air);
  const high = to(largest) + air;
  return {
    isLog,
    min: back(low),
    max: back(high),
    position: (value) => (to(value) - low) / (high - low),
    value: (position) => back(low + position * (high - low)),
  };
}

const MINUTE_MS = 60_000;

/** From a nano-dollar to months in milliseconds. */
const DECADES = Array.from({ length: 24 }, (_, index) => Number(`1e${index - 12}`));

/** Round values within a scale, about `count` of them. */
export function roundTicks({ min, max, isLog }: Scale, count: number, unit = 1): number[] {
  const span = (max - min) / unit;
  if (isLog) {
    const inside = (digits: readonly number[]): number[] =>
      DECADES.flatMap((decade) => digits.map((digit) => digit * decade * unit)).filter(
        (value) => value >= min && value <= max,
      );
    return [[1, 2, 5], [1, 3], [1]].map(inside).find((all) => all.length <= count + 2) ?? [];
  }
  const rough = (0.75 * span) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((digit) => digit * power >= rough) ?? 10) * power * unit;
  const first = Math.ceil(min / step - 1e-9);
  const last = Math.floor(max / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => {
    const value = (first + index) * step;
    return Number(value.toPrecision(12));
  });
}

export function durationTicks(scale: Scale, count: number): number[] {
  return roundTicks(scale, count, scale.max - scale.min > 3 * MINUTE_MS ? MINUTE_MS : 1);
}

/** A round value without the zeros that a measured one carries: `5.00 s` → `5 s`. */
export function tickText(text: string): string {
  return text
    .replace(/(\.\d*?)0+(?=\D|$)/, "$1")
    .replace(/\.(?=\D|$)/, "")
    .replace(/ 00 (s|min)$/, "");
}

/** A bound belongs into the picture when it is not so far off that it would squeeze the points. */
export function shownBound(bound: number | undefined, values: readonly number[]): number | null {
  if (bound === undefined) return null;
  const largest = Math.max(...values);
  const smallest = Math.min(...values);
  return bound <= largest * 2 && bound >= smallest * 0.3 ? bound : null;
}
