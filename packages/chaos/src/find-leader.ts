/** Which scheduler leads now: asked of all of them, over the bus. */
import { randomUUID } from "node:crypto";
import type { Messaging } from "@murakkab/bus";
import { type Clock, delay } from "@murakkab/kit";
import { contentHeaders, decode, encode, subjects } from "@murakkab/protocol";
import type { Breakable, BreakableProcess } from "./breakable.ts";

export interface LeaderFinderComponents {
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly cluster: Pick<Breakable, "schedulers">;
}

/** All schedulers are on this host: what has not answered by then is stopped or busy. */
const ANSWER_WAIT_MS = 100;

export class LeaderFinder {
  private readonly parts: LeaderFinderComponents;

  constructor(components: LeaderFinderComponents) {
    this.parts = components;
  }

  /** The leader's process; the only scheduler in any case; null when nobody tells. */
  async find(): Promise<BreakableProcess | null> {
    const named = await this.ask();
    const running = this.parts.cluster.schedulers();
    if (running.length === 1) return running[0] ?? null;
    // The one that most schedulers follow: a woken one may still believe in itself.
    const votesOf = ({ busId }: BreakableProcess): number =>
      named.filter((leader) => leader === busId).length;
    const [best] = running.toSorted((a, b) => votesOf(b) - votesOf(a));
    return best !== undefined && votesOf(best) > 0 ? best : null;
  }

  /** The leaders' ids that the schedulers name. */
  private async ask(): Promise<readonly string[]> {
    const { messaging, clock } = this.parts;
    const named: string[] = [];
    const reply = `_INBOX.chaos.${randomUUID()}`;
    const subscription = messaging.subscribe(reply, ({ data, headers }) => {
      if (data.length === 0) return; // Nobody is there.
      const { leader } = decode(data, headers).value as { leader?: unknown };
      if (typeof leader === "string") named.push(leader);
    });
    try {
      const headers = contentHeaders("json");
      messaging.publish(subjects.schedulerPing, encode({}, "json"), { reply, headers });
      await delay(clock, ANSWER_WAIT_MS);
    } catch {
      // Not connected: nobody can be asked.
    } finally {
      subscription.unsubscribe();
    }
    return named;
  }
}
