/** Which scheduler leads now: asked of all of them, over the bus. */
import { randomUUID } from "node:crypto";
import type { Messaging } from "@murakkab/bus";
import { type Clock, delay } from "@murakkab/kit";
import { contentHeaders, decode, encode, subjects } from "@murakkab/protocol";

/** All schedulers are on this host: what has not answered by then is stopped or busy. */
const ANSWER_WAIT_MS = 150;

interface PingAnswer {
  /** This scheduler's id. */
  readonly scheduler?: string;
  /** The leader's id, or whether this one leads. */
  readonly leader?: string | boolean | null;
  readonly pid?: number;
}

export class LeaderFinder {
  private readonly messaging: Messaging;
  private readonly clock: Clock;
  /** Known from answers before: a leader that is stopped tells its pid no more. */
  private readonly pidOf = new Map<string, number>();

  constructor(components: { readonly messaging: Messaging; readonly clock: Clock }) {
    this.messaging = components.messaging;
    this.clock = components.clock;
  }

  /** Pid of the leader's process; null when nobody tells. */
  async find(): Promise<number | null> {
    const answers = await this.ask();
    for (const { scheduler, pid } of answers) {
      if (scheduler !== undefined && pid !== undefined) this.pidOf.set(scheduler, pid);
    }
    const own = answers.find(
      ({ leader, scheduler }) => leader === true || (leader != null && leader === scheduler),
    );
    if (own?.pid !== undefined) return own.pid;
    const named = answers.find(({ leader }) => typeof leader === "string")?.leader;
    return typeof named === "string" ? (this.pidOf.get(named) ?? null) : null;
  }

  private async ask(): Promise<readonly PingAnswer[]> {
    const answers: PingAnswer[] = [];
    const reply = `_INBOX.chaos.${randomUUID()}`;
    const subscription = this.messaging.subscribe(reply, ({ data, headers }) => {
      if (data.length > 0) answers.push(decode(data, headers).value as PingAnswer);
    });
    try {
      const headers = contentHeaders("json");
      this.messaging.publish(subjects.schedulerPing, encode({}, "json"), { reply, headers });
      await delay(this.clock, ANSWER_WAIT_MS);
    } catch {
      // Not connected: nobody can be asked.
    } finally {
      subscription.unsubscribe();
    }
    return answers;
  }
}
