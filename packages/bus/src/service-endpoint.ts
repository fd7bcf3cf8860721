/**
 * The NATS services protocol (`$SRV.PING`, `$SRV.INFO`, `$SRV.STATS`) over the messaging port.
 *
 * Written on the port, so that both adapters answer alike and `nats micro ls` finds the parts of
 * a running system. Source: NATS architecture decision record 32.
 */
import { encode } from "@murakkab/protocol";
import type { BusMessage, Messaging, ServiceInfo, Subscription } from "./messaging.ts";

const TYPE_PREFIX = "io.nats.micro.v1";

export interface ServiceEndpointOptions {
  /** Unique per registration: several processes may offer the same service. */
  readonly id: string;
  readonly startedAtWallMs: number;
}

export function registerService(
  messaging: Messaging,
  service: ServiceInfo,
  { id, startedAtWallMs }: ServiceEndpointOptions,
): Subscription {
  const identity = {
    name: service.name,
    id,
    version: service.version,
    metadata: service.metadata ?? {},
  };
  const started = new Date(startedAtWallMs).toISOString();
  const answers: Readonly<Record<string, unknown>> = {
    PING: { ...identity, type: `${TYPE_PREFIX}.ping_response` },
    INFO: {
      ...identity,
      type: `${TYPE_PREFIX}.info_response`,
      description: service.description,
      endpoints: [],
    },
    STATS: { ...identity, type: `${TYPE_PREFIX}.stats_response`, started, endpoints: [] },
  };
  const subscriptions = Object.entries(answers).flatMap(([verb, answer]) => {
    const data = encode(answer, "json");
    const reply = (message: BusMessage): void => {
      if (message.reply !== undefined) messaging.publish(message.reply, data);
    };
    return [
      `$SRV.${verb}`,
      `$SRV.${verb}.${service.name}`,
      `$SRV.${verb}.${service.name}.${id}`,
    ].map((subject) => messaging.subscribe(subject, reply));
  });
  return {
    unsubscribe: () => {
      for (const subscription of subscriptions) subscription.unsubscribe();
    },
  };
}
