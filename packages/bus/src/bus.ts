import type { Messaging } from "./messaging.ts";
import type { State } from "./state.ts";

/** A connection to the bus: messaging and state. */
export interface Bus {
  readonly messaging: Messaging;
  readonly state: State;
  /** For `doctor` and logs: `nats-server 2.9.10 at nats://127.0.0.1:4222`; no credentials. */
  readonly description: string;
  /** Sends what is pending and disconnects. */
  close(): Promise<void>;
}
