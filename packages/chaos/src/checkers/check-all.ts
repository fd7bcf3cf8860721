/** The invariants by number, as docs/invariants.md has them, and one pass over all of them. */
import type { ChaosRecord, Checker, Violation } from "../observation.ts";
import { checkBoundedEffects } from "./bounded-effects.ts";
import { checkGaplessNumbers } from "./gapless-numbers.ts";
import { checkNoLostJob, checkOneTerminalState } from "./job-ends.ts";
import { checkNoChangedInputs } from "./no-changed-inputs.ts";
import { checkNoStaleWrite } from "./no-stale-write.ts";
import { checkOneActivation } from "./one-activation.ts";
import { checkOneHolder } from "./one-holder.ts";

export const INVARIANTS: Readonly<Record<string, Checker>> = {
  INV1: checkOneActivation,
  INV2: checkNoLostJob,
  INV3: checkOneTerminalState,
  INV4: checkNoStaleWrite,
  INV5: checkNoChangedInputs,
  INV6: checkBoundedEffects,
  INV7: checkGaplessNumbers,
  INV8: checkOneHolder,
};

/** Violations by time, then by invariant. */
export function checkAll(record: ChaosRecord): readonly Violation[] {
  return Object.entries(INVARIANTS)
    .flatMap(([invariant, check]) => check(record).map((found) => ({ invariant, ...found })))
    .sort((a, b) => a.atMs - b.atMs || (a.invariant < b.invariant ? -1 : 1));
}
