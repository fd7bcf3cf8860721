/** Which processes take which actors, as their beats tell. */
import type { Clock } from "@murakkab/kit";
import type { ActorHostBeat } from "@murakkab/protocol";
import { ACTOR_HOST_SILENT_AFTER_MS } from "@murakkab/protocol";

export interface HostView {
  readonly host: string;
  readonly types: readonly string[];
  readonly activationCount: number;
}

/** Hosts that are kept; more are ignored until others fall silent. */
const HOST_COUNT_MAX = 4_096;

interface Heard extends HostView {
  readonly heardAtMs: number;
}

export class HostTable {
  private readonly clock: Clock;
  private readonly heardByHost = new Map<string, Heard>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  take({ host, types, activationCount, isLeaving }: ActorHostBeat): void {
    this.dropSilent();
    if (isLeaving) this.heardByHost.delete(host);
    else if (this.heardByHost.has(host) || this.heardByHost.size < HOST_COUNT_MAX) {
      const heardAtMs = this.clock.monotonicMs();
      this.heardByHost.set(host, { host, types, activationCount, heardAtMs });
    }
  }

  /** Placed there since its last beat: the next choice must not see it as empty. */
  countOneMore(host: string): void {
    const heard = this.heardByHost.get(host);
    if (heard === undefined) return;
    this.heardByHost.set(host, { ...heard, activationCount: heard.activationCount + 1 });
  }

  forget(host: string): void {
    this.heardByHost.delete(host);
  }

  isHeard(host: string): boolean {
    this.dropSilent();
    return this.heardByHost.has(host);
  }

  all(): HostView[] {
    this.dropSilent();
    return [...this.heardByHost.values()].map(({ host, types, activationCount }) => ({
      host,
      types,
      activationCount,
    }));
  }

  private dropSilent(): void {
    const nowMs = this.clock.monotonicMs();
    for (const [host, { heardAtMs }] of this.heardByHost) {
      if (nowMs - heardAtMs > ACTOR_HOST_SILENT_AFTER_MS) this.heardByHost.delete(host);
    }
  }
}
