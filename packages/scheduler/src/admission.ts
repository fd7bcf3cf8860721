/**
 * How many unfinished jobs this scheduler takes, and how they are shared among tenants.
 *
 * The bound follows the rate at which jobs end: a backlog that takes longer than some seconds only
 * makes every answer late. Jobs that run long keep a bound of their own.
 *
 * Invariants:
 *   A1. Never more than `activeMax` unfinished jobs are accepted, nor more than end within
 *       BACKLOG_MS at the present rate, but always BACKLOG_COUNT_MIN.
 *   A2. Above half of that, no tenant has more than its equal share.
 *   A3. A refusal says after which time another try may succeed.
 */
import { type Clock, OverloadedError } from "@murakkab/kit";

export interface AdmissionOptions {
  readonly activeMax: number;
}

/** Bounds of what a refused submitter is told to wait, ms. */
const RETRY_AFTER_MS_MIN = 100;
const RETRY_AFTER_MS_MAX = 30_000;
/** Time over which the rate of finished jobs is averaged, ms. */
const RATE_WINDOW_MS = 1_000;
/** Work that may wait, as the time that it takes, ms, and as a count that is always taken. */
const BACKLOG_MS = 3_000;
const BACKLOG_COUNT_MIN = 1_000;
/** Share of the bound that must be free again before a refused submitter should come back. */
const RELIEF_SHARE = 0.05;

export class Admission {
  private readonly clock: Clock;
  private readonly options: AdmissionOptions;
  private readonly byTenant = new Map<string, number>();
  private active = 0;
  private finishedPerMs = 0;
  private finishedCount = 0;
  private windowStartMs: number;

  constructor(clock: Clock, options: AdmissionOptions) {
    this.clock = clock;
    this.options = options;
    this.windowStartMs = clock.monotonicMs();
  }

  get activeCount(): number {
    return this.active;
  }

  /** Before a request is even read. Errors: `OVERLOADED` (A1, A3). */
  checkAny(): void {
    const { bound } = this;
    if (this.active < bound) return;
    throw this.overloaded(`${this.active} jobs are unfinished`, bound);
  }

  /** A1. */
  private get bound(): number {
    const atRate = Math.max(BACKLOG_COUNT_MIN, Math.round(this.finishedPerMs * BACKLOG_MS));
    return Math.min(this.options.activeMax, atRate);
  }

  /** Errors: `OVERLOADED` (A1 to A3). */
  check(tenant: string): void {
    this.checkAny();
    const own = this.byTenant.get(tenant) ?? 0;
    const { bound } = this;
    if (this.active < bound / 2) return;
    const tenantCount = this.byTenant.size + (own === 0 ? 1 : 0);
    const share = Math.max(1, Math.floor(bound / Math.max(2, tenantCount)));
    if (own < share) return;
    throw this.overloaded(`${own} jobs of tenant ${tenant} are unfinished`, share);
  }

  enter(tenant: string): void {
    this.active += 1;
    this.byTenant.set(tenant, (this.byTenant.get(tenant) ?? 0) + 1);
  }

  leave(tenant: string): void {
    this.active -= 1;
    const own = (this.byTenant.get(tenant) ?? 1) - 1;
    if (own <= 0) this.byTenant.delete(tenant);
    else this.byTenant.set(tenant, own);
    this.finishedCount += 1;
    const nowMs = this.clock.monotonicMs();
    const elapsedMs = nowMs - this.windowStartMs;
    if (elapsedMs < RATE_WINDOW_MS) return;
    this.finishedPerMs = this.finishedCount / elapsedMs;
    this.finishedCount = 0;
    this.windowStartMs = nowMs;
  }

  private overloaded(what: string, bound: number): OverloadedError {
    const relief = bound * RELIEF_SHARE;
    const elapsedMs = Math.max(1, this.clock.monotonicMs() - this.windowStartMs);
    const rate = Math.max(this.finishedPerMs, this.finishedCount / elapsedMs, 1e-6);
    const retryAfterMs = Math.round(
      Math.min(RETRY_AFTER_MS_MAX, Math.max(RETRY_AFTER_MS_MIN, relief / rate)),
    );
    return new OverloadedError(
      `${what}, expected fewer than ${bound}; try again in ${retryAfterMs} ms`,
      { retryAfterMs },
    );
  }
}
