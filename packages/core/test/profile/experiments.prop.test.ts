/**
 * Goal: the profiler's planner ends, keeps to its budget, and without noise stops nothing that is on
 * the true frontier.
 */
import { type ExperimentState, frontierOf, nextRound, type Trial } from "@murakkab/core";
import { seededRandom } from "@murakkab/kit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

interface Setting {
  readonly quality: number;
  readonly cost: number;
}

interface Outcome {
  readonly runs: number;
  readonly rounds: number;
  readonly stopped: ReadonlySet<string>;
  readonly asked: ReadonlyMap<string, number>;
  readonly trials: readonly Trial[];
}

/** Plays the experiment; `score` of a setting and question. */
function play(
  settings: readonly Setting[],
  options: { questionCount: number; budget: number; firstCount?: number },
  score: (setting: Setting, question: number) => number,
): Outcome {
  const stopped = new Set<string>();
  const asked = new Map(settings.map((_, i) => [`s${i}`, 0]));
  const sums = new Map<string, number>();
  let runs = 0;
  for (let rounds = 1; rounds < 10_000; rounds += 1) {
    const trials = settings.map(({ cost }, i): Trial => {
      const setting = `s${i}`;
      const count = asked.get(setting) ?? 0;
      return { setting, cost, quality: { scoreSum: sums.get(setting) ?? 0, count } };
    });
    const { questionCount, budget, firstCount = 4 } = options;
    const state: ExperimentState = {
      ...{ trials, stopped, questionCount, firstCount },
      runsLeft: budget - runs,
    };
    const round = nextRound(state);
    for (const { setting } of round.stop) stopped.add(setting);
    if (round.end !== null) return { runs, rounds, stopped, asked, trials };
    for (const { setting, questions } of round.runs) {
      expect(stopped.has(setting)).toBe(false);
      for (const question of questions) {
        expect(question).toBe(asked.get(setting));
        expect(question).toBeLessThan(questionCount);
        asked.set(setting, question + 1);
        const value = score(settings[Number(setting.slice(1))] as Setting, question);
        sums.set(setting, (sums.get(setting) ?? 0) + value);
        runs += 1;
      }
    }
  }
  throw new Error("did not end");
}

const setting = fc.record({
  quality: fc.integer({ min: 0, max: 20 }).map((it) => it / 20),
  cost: fc.integer({ min: 1, max: 50 }),
});
const options = fc.record({
  questionCount: fc.integer({ min: 1, max: 60 }),
  budget: fc.integer({ min: 0, max: 600 }),
  firstCount: fc.integer({ min: 1, max: 8 }),
});

describe("profiler's planner", () => {
  test("ends within its budget, whatever the scores", () => {
    fc.assert(
      fc.property(
        fc.array(setting, { maxLength: 25 }),
        options,
        fc.integer(),
        (given, how, seed) => {
          const random = seededRandom(seed);
          const outcome = play(given, how, () => (random.next() < 0.5 ? 1 : 0));
          expect(outcome.runs).toBeLessThanOrEqual(how.budget);
        },
      ),
    );
  });

  test("without noise nothing on the true frontier is stopped", () => {
    fc.assert(
      fc.property(fc.array(setting, { minLength: 1, maxLength: 25 }), options, (given, how) => {
        const outcome = play(given, how, (it) => it.quality);
        const onFrontier = (it: Setting): boolean =>
          !given.some(
            (other) =>
              other.cost <= it.cost &&
              other.quality >= it.quality &&
              (other.cost < it.cost || other.quality > it.quality),
          );
        for (const [i, it] of given.entries()) {
          if (onFrontier(it)) expect(outcome.stopped.has(`s${i}`)).toBe(false);
        }
      }),
    );
  });

  test("spends most on what is near the frontier, and finds it under noise", () => {
    const given = [
      ...Array.from({ length: 12 }, (_, i) => ({ quality: 0.2 + 0.02 * i, cost: 20 + i })),
      { quality: 0.9, cost: 10 },
      { quality: 0.85, cost: 5 },
    ];
    let found = 0;
    for (let seed = 0; seed < 20; seed += 1) {
      const random = seededRandom(seed);
      const how = { questionCount: 40, budget: 400 };
      const outcome = play(given, how, (it) => (random.next() < it.quality ? 1 : 0));
      const good = (outcome.asked.get("s12") ?? 0) + (outcome.asked.get("s13") ?? 0);
      expect(good).toBeGreaterThan(outcome.runs / 4);
      expect(outcome.runs).toBeLessThan(12 * 40);
      const frontier = frontierOf(outcome.trials).map((it) => it.setting);
      if (frontier.includes("s13") && frontier.every((it) => it === "s12" || it === "s13")) {
        found += 1;
      }
    }
    expect(found).toBe(20);
  });
});
