/** Tells waiting faults what was just seen on the bus. */
import type { Moment } from "./fault-plan.ts";

export interface SeenMoment {
  readonly moment: Moment;
  /** What it is about, where the moment tells. */
  readonly instance?: string;
  readonly node?: string;
}

interface Waiter {
  readonly moment: Moment;
  leftCount: number;
  readonly resolve: (seen: SeenMoment) => void;
}

export class MomentFeed {
  private readonly waiters = new Set<Waiter>();

  note(seen: SeenMoment): void {
    for (const waiter of [...this.waiters]) {
      if (waiter.moment !== seen.moment) continue;
      waiter.leftCount -= 1;
      if (waiter.leftCount > 0) continue;
      this.waiters.delete(waiter);
      waiter.resolve(seen);
    }
  }

  /** `forget` ends a wait that is no longer wanted: its promise then stays pending. */
  wait({ moment, nth }: { readonly moment: Moment; readonly nth: number }): {
    readonly seen: Promise<SeenMoment>;
    readonly forget: () => void;
  } {
    let waiter: Waiter | null = null;
    const seen = new Promise<SeenMoment>((resolve) => {
      waiter = { moment, leftCount: nth, resolve };
      this.waiters.add(waiter);
    });
    return {
      seen,
      forget: () => {
        if (waiter !== null) this.waiters.delete(waiter);
      },
    };
  }
}
