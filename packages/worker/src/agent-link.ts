/**
 * What a worker has with the agent of its node once the channel to the agent that started it is
 * gone: it says hello over the bus until an agent answers, and tells its queue from then on.
 *
 * Owns:      who the agent is now, and when to greet.
 * Does not:  ask for cores or artifacts (agent-client.ts), or end the worker (main.ts).
 *
 * Invariants:
 *   L1. While the channel is there nothing is greeted: its agent is the agent.
 *   L2. Each new agent hears what this worker holds: within HELLO_RETRY_MS_MAX and a round trip of
 *       both being on the bus, so that cores are not promised twice (the agent holds all that this
 *       instance could have until then).
 *   L3. At most one greeting is under way.
 */
import type { Messaging, Subscription } from "@murakkab/bus";
import { call, publishValue } from "@murakkab/bus";
import type { Clock, Logger } from "@murakkab/kit";
import { delay, describeError, isRuntimeError } from "@murakkab/kit";
import type { InstanceHello } from "@murakkab/protocol";
import {
  decode,
  instanceHelloReplySchema,
  instanceMusterSchema,
  subjects,
} from "@murakkab/protocol";

/** An agent answers a greeting in well under this, ms. */
const HELLO_TIMEOUT_MS = 2_000;
/** First pause before the next greeting, ms; it doubles. A restart of an agent takes about one. */
const HELLO_RETRY_MS = 100;
/** Longest pause, ms: a worker without an agent asks once a second. */
export const HELLO_RETRY_MS_MAX = 1_000;

export interface LinkComponents {
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface LinkOptions {
  readonly node: string;
  readonly describe: () => InstanceHello;
  /** Another agent than before has answered: what was asked of the former gets no answer. */
  readonly onNewAgent: () => void;
  /** The node's agent does not have this instance: nobody would ever stop it. */
  readonly onDisowned: () => void;
}

export class AgentLink {
  private readonly components: LinkComponents;
  private readonly options: LinkOptions;
  private readonly subscriptions: Subscription[];
  private incarnation: string | null = null;
  private isDetached = false;
  private isGreeting = false;
  private isStopped = false;

  constructor(components: LinkComponents, options: LinkOptions) {
    this.components = components;
    this.options = options;
    const { messaging } = components;
    this.subscriptions = [
      messaging.subscribe(subjects.instanceMuster(options.node), ({ data, headers }) => {
        const muster = instanceMusterSchema.safeParse(decode(data, headers).value);
        if (muster.success && muster.data.incarnation !== this.incarnation) this.greet();
      }),
      // What was said while the bus was away was not heard.
      messaging.onStatus((status) => {
        if (status === "connected") this.greet();
      }),
    ];
  }

  /** The channel to the agent is gone. */
  detach(): void {
    this.isDetached = true;
    this.greet();
  }

  /** Tells the queue; nothing while there is a channel, which does so itself (L1). */
  report(): void {
    if (!this.isDetached || this.isGreeting || this.isStopped) return;
    const { node, describe } = this.options;
    try {
      publishValue(this.components.messaging, subjects.instanceHello(node), describe());
    } catch {
      // The bus is away: its return is greeted.
    }
  }

  stop(): void {
    this.isStopped = true;
    for (const subscription of this.subscriptions) subscription.unsubscribe();
  }

  private greet(): void {
    if (!this.isDetached || this.isGreeting || this.isStopped) return; // L1, L3
    this.isGreeting = true;
    void this.greetUntilAnswered().finally(() => {
      this.isGreeting = false;
    });
  }

  /** L2. Never rejects. */
  private async greetUntilAnswered(): Promise<void> {
    const { messaging, clock, log } = this.components;
    const { node, describe } = this.options;
    const subject = subjects.instanceHello(node);
    for (let pauseMs = HELLO_RETRY_MS; !this.isStopped; pauseMs *= 2) {
      try {
        const request = { subject, value: describe(), schema: instanceHelloReplySchema };
        const { incarnation } = await call(messaging, request, { timeoutMs: HELLO_TIMEOUT_MS });
        this.onAnswered(incarnation);
        return;
      } catch (error) {
        if (isRuntimeError(error) && error.code === "INSTANCE_ENDED") {
          this.options.onDisowned();
          return;
        }
        log.debug({ event: "agent.away", reason: describeError(error) }, "no agent answers");
      }
      await delay(clock, Math.min(pauseMs, HELLO_RETRY_MS_MAX));
    }
  }

  private onAnswered(incarnation: string): void {
    if (incarnation === this.incarnation) return;
    this.incarnation = incarnation;
    this.components.log.info({ event: "agent.found", incarnation }, "an agent has adopted this");
    this.options.onNewAgent();
  }
}
