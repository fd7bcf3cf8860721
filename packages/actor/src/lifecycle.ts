/**
 * The life of one activation, as data.
 *
 * Owns:      which states follow each other, and when a supervisor gives up.
 * Does not:  run behaviours, touch mailboxes or read clocks: it returns effects.
 *
 * Invariants:
 *   L1. A message is handled only in `running`.
 *   L2. Not more than `restartsMax` restarts within `restartWindowMs`; for one more the supervisors
 *       are asked, whose `restart` begins a new window.
 *   L3. `stopped` is final: no event leaves it.
 *   L4. An abandoned activation stops from any state, and nothing of it is saved.
 */
import { assertNever } from "@murakkab/kit";
import type { ActorAddress } from "./actor.ts";

export type LifecycleState =
  | { readonly kind: "starting"; readonly restartsAtMs: readonly number[] }
  | { readonly kind: "running"; readonly restartsAtMs: readonly number[] }
  /** Idle: its state is being saved, after which it is let go unless a message came. */
  | { readonly kind: "passivating"; readonly restartsAtMs: readonly number[] }
  | { readonly kind: "stopping" }
  | { readonly kind: "stopped" };

/**
 * What a supervisor wants of an actor that crashed too often: a fresh start after a pause, the end,
 * or the next supervisor's word (the last one's `escalate` is the end, told to `onEscalate`).
 */
export type Directive = "restart" | "stop" | "escalate";

export interface Failure {
  readonly address: ActorAddress;
  readonly error: unknown;
}

export type Supervise = (failure: Failure) => Directive;

export type LifecycleEvent =
  | { readonly kind: "started" }
  /** The behaviour's start failed, or a handler threw what is no RuntimeError. */
  | { readonly kind: "crashed"; readonly error: unknown; readonly directive?: Directive }
  | { readonly kind: "stop-requested" }
  /** Nothing is in flight any more. */
  | { readonly kind: "drained" }
  | { readonly kind: "idled" }
  | { readonly kind: "saved"; readonly isWanted: boolean }
  /** It lost the right to its address, or its state is not known to be the stored one any more. */
  | { readonly kind: "abandoned"; readonly error: unknown };

export type LifecycleEffect =
  /** Make a fresh behaviour and start it, after a pause if told so; then `started` or `crashed`. */
  | { readonly kind: "start"; readonly afterMs: number }
  /** Handle what waits in the mailbox. */
  | { readonly kind: "pump" }
  /** Abort what is in flight with this error. */
  | { readonly kind: "abort-in-flight"; readonly error: unknown }
  /** Finish what is in flight, then report `drained`. */
  | { readonly kind: "drain" }
  /** Save, then report `saved`. */
  | { readonly kind: "save" }
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

type LiveState = Extract<LifecycleState, { restartsAtMs: readonly number[] }>;

const NO_RESTARTS: readonly number[] = [];
const NO_EFFECTS: readonly LifecycleEffect[] = [];
const PUMP: readonly LifecycleEffect[] = [{ kind: "pump" }];
const STOPPED: LifecycleState = { kind: "stopped" };
/** Shared by all activations that never crashed. */
const RUNNING: LifecycleState = { kind: "running", restartsAtMs: NO_RESTARTS };
export const INITIAL_STATE: LifecycleState = { kind: "starting", restartsAtMs: NO_RESTARTS };
/** Pause before a restart that a supervisor ordered, ms: a start that fails must not spin. */
export const ORDERED_RESTART_PAUSE_MS = 1_000;

/** The only place where an activation changes state. */
export function stepLifecycle(
  state: LifecycleState,
  event: LifecycleEvent,
  nowMs: number,
  limits: LifecycleLimits,
): LifecycleStep {
  if (state.kind === "stopped") return { state, effects: NO_EFFECTS }; // L3
  if (event.kind === "abandoned") {
    const abort = { kind: "abort-in-flight", error: event.error } as const;
    return { state: STOPPED, effects: [abort, { kind: "release" }] }; // L4
  }
  if (state.kind !== "stopping") return stepLive(state, event, nowMs, limits);
  if (event.kind !== "drained") return { state, effects: NO_EFFECTS };
  return { state: STOPPED, effects: [{ kind: "release" }] };
}

function stepLive(
  state: LiveState,
  event: Exclude<LifecycleEvent, { kind: "abandoned" }>,
  nowMs: number,
  limits: LifecycleLimits,
): LifecycleStep {
  switch (event.kind) {
    case "started":
      if (state.kind !== "starting") return { state, effects: NO_EFFECTS };
      return { state: run(state), effects: PUMP };
    case "crashed":
      return crash(state, event, nowMs, limits);
    case "stop-requested":
      return { state: { kind: "stopping" }, effects: [{ kind: "drain" }] };
    case "idled":
      if (state.kind !== "running") return { state, effects: NO_EFFECTS };
      return { state: { ...state, kind: "passivating" }, effects: [{ kind: "save" }] };
    case "saved":
      if (state.kind !== "passivating") return { state, effects: NO_EFFECTS };
      if (event.isWanted) return { state: run(state), effects: PUMP };
      return { state: STOPPED, effects: [{ kind: "release" }] };
    case "drained":
      return { state, effects: NO_EFFECTS };
    default:
      return assertNever(event);
  }
}

/** Whether one more crash at this time is one too many (L2). */
export function isExhausted(
  state: LifecycleState,
  nowMs: number,
  limits: LifecycleLimits,
): boolean {
  return (
    "restartsAtMs" in state && recentRestarts(state, nowMs, limits).length >= limits.restartsMax
  );
}

function crash(
  state: LiveState,
  event: Extract<LifecycleEvent, { kind: "crashed" }>,
  nowMs: number,
  limits: LifecycleLimits,
): LifecycleStep {
  const abort = { kind: "abort-in-flight", error: event.error } as const;
  if (!isExhausted(state, nowMs, limits)) {
    return {
      state: { kind: "starting", restartsAtMs: [...recentRestarts(state, nowMs, limits), nowMs] },
      effects: [abort, { kind: "start", afterMs: 0 }],
    };
  }
  if (event.directive === "restart") {
    return {
      state: { kind: "starting", restartsAtMs: [nowMs] },
      effects: [abort, { kind: "start", afterMs: ORDERED_RESTART_PAUSE_MS }],
    };
  }
  const end: LifecycleEffect[] = [abort, { kind: "release" }];
  if (event.directive !== "stop") end.push({ kind: "escalate", error: event.error });
  return { state: STOPPED, effects: end };
}

function recentRestarts(
  state: LiveState,
  nowMs: number,
  { restartWindowMs }: LifecycleLimits,
): readonly number[] {
  return state.restartsAtMs.filter((at) => nowMs - at < restartWindowMs);
}

function run(state: LiveState): LifecycleState {
  return state.restartsAtMs.length === 0 ? RUNNING : { ...state, kind: "running" };
}
