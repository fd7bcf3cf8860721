/**
 * How many unfinished jobs this scheduler takes, and how they are shared among tenants.
 *
 * Invariants:
 *   A1. Never more than `activeMax` unfinished jobs are accepted.
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
const RATE_WINDOW_MS = 5_000;
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
    if (this.active < this.options.activeMax) return;
    throw this.overloaded(`${this.active} jobs are unfinished`, this.options.activeMax);
  }

  /** Errors: `OVERLOADED` (A1 to A3). */
  check(tenant: string): void {
    this.checkAny();
    const own = this.byTenant.get(tenant) ?? 0;
    const half = this.options.activeMax / 2;
    if (this.active < half) return;
    const tenantCount = this.byTenant.size + (own === 0 ? 1 : 0);
    const share = Math.max(1, Math.floor(this.options.activeMax / Math.max(2, tenantCount)));
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
    const relief = this.options.activeMax * RELIEF_SHARE;
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
