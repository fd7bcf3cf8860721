/** The settings of an actor, and the defaults with their reasons. */

import type { Supervise } from "./lifecycle.ts";
import type { OverflowPolicy } from "./mailbox.ts";

export interface ActorOptions {
  /** Messages that wait at most; one more meets `overflow`. Default 1,024. */
  readonly mailboxCapacity?: number;
  /**
   * `reject`: the new message is answered with MAILBOX_FULL. `drop-oldest`: the oldest of the least
   * urgent messages is, and the new one waits. Default `reject`.
   */
  readonly overflow?: OverflowPolicy;
  /** Messages handled at the same time. Default 1. */
  readonly concurrency?: number;
  /** One restart more than this within the window asks the supervisors. Default 3. */
  readonly restartsMax?: number;
  /** Default 60,000 ms. */
  readonly restartWindowMs?: number;
  /** Decides when the restarts are used up. Default `escalate`: to the system's, then the end. */
  readonly supervise?: Supervise;
  /** Called when the actor gave up restarting. */
  readonly onEscalate?: (error: unknown) => void;
  /**
   * Answers kept for repeats with the same message id. 0 = none. Default 64 for hosted actors, so
   * that a sender may repeat after a lost answer; 0 for spawned ones.
   */
  readonly answersKept?: number;
  /** How long they are kept, ms. Default 10,000: longer than a sender's repeats lie apart. */
  readonly answersKeptMs?: number;
}

export type ResolvedOptions = Required<Omit<ActorOptions, "supervise" | "onEscalate">> &
  Pick<ActorOptions, "supervise" | "onEscalate">;

const DEFAULTS = {
  /** A second's worth of small messages; what waits longer is better told "try elsewhere". */
  mailboxCapacity: 1_024,
  overflow: "reject",
  concurrency: 1,
  restartsMax: 3,
  restartWindowMs: 60_000,
  answersKeptMs: 10_000,
} as const;

/** Made once per type, shared by its activations. */
export function resolveOptions(
  options: ActorOptions,
  kind: { readonly isHosted: boolean },
): ResolvedOptions {
  return { answersKept: kind.isHosted ? 64 : 0, ...DEFAULTS, ...options };
}
