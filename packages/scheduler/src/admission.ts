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
import { type Clock, OverloadedError, toWireError } from "@murakkab/kit";
import { DEFAULT_TENANT } from "./intake.ts";

export interface AdmissionOptions {
  readonly activeMax: number;
}

/** Bounds of what a refused submitter is told to wait, ms. */
const RETRY_AFTER_MS_MIN = 100;
const RETRY_AFTER_MS_MAX = 30_000;
/** How long a refusal is given again as it was, ms, and for how many tenants. */
const REFUSAL_MS = 20;
const REFUSALS_KEPT_COUNT = 1_024;
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
  private readonly refusals = new Map<string, { text: string; untilMs: number }>();
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

  /**
   * The answer to a submission that is refused whatever else it says, as JSON; null: it is to be
   * read. Looks for the tenant in the bytes: a flood must not cost what it costs to read it.
   */
  refusalOf(submission: Uint8Array): string | null {
    const { bound } = this;
    if (this.active < bound / 2) return null;
    const tenant = tenantIn(submission);
    if (tenant === null || !this.isOver(tenant, bound)) return null;
    const nowMs = this.clock.monotonicMs();
    const known = this.refusals.get(tenant);
    if (known !== undefined && nowMs < known.untilMs) return known.text;
    const text = JSON.stringify({ error: toWireError(this.refuse(tenant, bound)) });
    if (this.refusals.size >= REFUSALS_KEPT_COUNT) this.refusals.clear();
    this.refusals.set(tenant, { text, untilMs: nowMs + REFUSAL_MS });
    return text;
  }

  /** A1. */
  private get bound(): number {
    const atRate = Math.max(BACKLOG_COUNT_MIN, Math.round(this.finishedPerMs * BACKLOG_MS));
    return Math.min(this.options.activeMax, atRate);
  }

  /** Errors: `OVERLOADED` (A1 to A3). */
  check(tenant: string): void {
    const { bound } = this;
    if (this.isOver(tenant, bound)) throw this.refuse(tenant, bound);
  }

  private isOver(tenant: string, bound: number): boolean {
    if (this.active >= bound) return true;
    return this.active >= bound / 2 && this.countOf(tenant) >= this.shareOf(tenant, bound);
  }

  private countOf(tenant: string): number {
    return this.byTenant.get(tenant) ?? 0;
  }

  private shareOf(tenant: string, bound: number): number {
    const tenantCount = this.byTenant.size + (this.byTenant.has(tenant) ? 0 : 1);
    return Math.max(1, Math.floor(bound / Math.max(2, tenantCount)));
  }

  private refuse(tenant: string, bound: number): OverloadedError {
    if (this.active >= bound) return this.overloaded(`${this.active} jobs are unfinished`, bound);
    const what = `${this.countOf(tenant)} jobs of tenant ${tenant} are unfinished`;
    return this.overloaded(what, this.shareOf(tenant, bound));
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

const latin1 = new TextDecoder("latin1");
/** In JSON a quote inside of a text is escaped, so that only a key can look like this. */
const TENANT_PATTERN = /"tenant"\s*:\s*"([A-Za-z0-9_-]{1,128})"/;
const OPENING_BRACE = 123;

/** Null when it can't be told without reading the whole: then it is read. */
function tenantIn(submission: Uint8Array): string | null {
  if (submission[0] !== OPENING_BRACE) return null;
  const text = latin1.decode(submission);
  if (!text.includes('"tenant"')) return DEFAULT_TENANT;
  return TENANT_PATTERN.exec(text)?.[1] ?? null;
}
