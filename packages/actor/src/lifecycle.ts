/**
 * The life of one activation, as data.
 *
 * Owns:      which states follow each other, and when a supervisor gives up.
 * Does not:  run behaviours, touch mailboxes or read clocks: it returns effects.
 *
 * Invariants:
 *   L1. A message is handled only in `running`.
 *   L2. Not more than `restartsMax` restarts within `restartWindowMs`; one more stops and escalates.
 *   L3. `stopped` is final: no event leaves it.
 */
import { assertNever } from "@murakkab/kit";

export type LifecycleState =
  | { readonly kind: "starting"; readonly restartsAtMs: readonly number[] }
  | { readonly kind: "running"; readonly restartsAtMs: readonly number[] }
  | { readonly kind: "stopping" }
  | { readonly kind: "stopped" };

export type LifecycleEvent =
  | { readonly kind: "started" }
  /** The behaviour's start failed, or a handler threw what is no RuntimeError. */
  | { readonly kind: "crashed"; readonly error: unknown }
  | { readonly kind: "stop-requested" }
  /** Nothing is in flight any more. */
  | { readonly kind: "drained" };

export type LifecycleEffect =
  /** Make a fresh behaviour and start it; answer with `started` or `crashed`. */
  | { readonly kind: "start" }
  /** Handle what waits in the mailbox. */
  | { readonly kind: "pump" }
  /** Abort what is in flight with this error. */
  | { readonly kind: "abort-in-flight"; readonly error: unknown }
  /** Finish what is in flight, then report `drained`. */
  | { readonly kind: "drain" }
  /** Free the address and answer everything that waits with an error. */
  | { readonly kind: "release" }
  | { readonly kind: "escalate"; readonly error: unknown };

export interface LifecycleLimits {
  readonly restartsMax: number;
  readonly restartWindowMs: number;
}

export interface LifecycleStep {
  readonly state: LifecycleState;
  readonly effects: readonly LifecycleEffect[];
}

export const INITIAL_STATE: LifecycleState = { kind: "starting", restartsAtMs: [] };

/** The only place where an activation changes state. */
export function stepLifecycle(
  state: LifecycleState,
  event: LifecycleEvent,
  nowMs: number,
  limits: LifecycleLimits,
): LifecycleStep {
  switch (state.kind) {
    case "starting":
    case "running":
      return stepLive(state, event, nowMs, limits);
    case "stopping":
      if (event.kind !== "drained") return { state, effects: [] };
      return { state: { kind: "stopped" }, effects: [{ kind: "release" }] };
    case "stopped":
      return { state, effects: [] }; // L3
    default:
      return assertNever(state);
  }
}

function stepLive(
  state: Extract<LifecycleState, { restartsAtMs: readonly number[] }>,
  event: LifecycleEvent,
  nowMs: number,
  limits: LifecycleLimits,
): LifecycleStep {
  switch (event.kind) {
    case "started":
      if (state.kind === "running") return { state, effects: [] };
      return { state: { ...state, kind: "running" }, effects: [{ kind: "pump" }] };
    case "crashed": {
      const abort = { kind: "abort-in-flight", error: event.error } as const;
      const recent = state.restartsAtMs.filter((at) => nowMs - at < limits.restartWindowMs);
      if (recent.length >= limits.restartsMax) {
        return {
          state: { kind: "stopped" },
          effects: [abort, { kind: "release" }, { kind: "escalate", error: event.error }],
        };
      }
      return {
        state: { kind: "starting", restartsAtMs: [...recent, nowMs] },
        effects: [abort, { kind: "start" }],
      };
    }
    case "stop-requested":
      return { state: { kind: "stopping" }, effects: [{ kind: "drain" }] };
    case "drained":
      return { state, effects: [] };
    default:
      return assertNever(event);
  }
}
