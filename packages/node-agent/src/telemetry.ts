/**
 * Publishes what the node measures: msgpack for the scheduler, a JSON copy for operators.
 *
 * Owns:      the interval, the message, the figures' age.
 * Does not:  measure (SamplerPort does) or interpret.
 *
 * Invariants:
 *   M1. At most one sample is being taken; a slow one delays the next and never piles up.
 *   M2. A failure to measure or to send is never the end of sampling.
 */
import type { Messaging } from "@murakkab/bus";
import { publishValue } from "@murakkab/bus";
import type { Cancel, Clock, Logger } from "@murakkab/kit";
import { describeError } from "@murakkab/kit";
import type { InstanceSample, NodeSample } from "@murakkab/model";
import { SAMPLE_INTERVAL_MS, subjects } from "@murakkab/protocol";
import type { HostFigures, SamplerPort } from "./ports.ts";

export interface TelemetryComponents {
  readonly clock: Clock;
  readonly messaging: Messaging;
  readonly sampler: SamplerPort;
  readonly log: Logger;
}

export interface TelemetryOptions {
  readonly node: string;
  readonly hostname: string;
  readonly instances: () => readonly InstanceSample[];
  readonly store: { readonly storedBytes: number; readonly limitBytes: number };
}

export class Telemetry {
  readonly #components: TelemetryComponents;
  readonly #options: TelemetryOptions;
  #cancel: Cancel = () => undefined;
  #isStopped = false;
  #seq = 0;
  #wasFailing = false;

  constructor(components: TelemetryComponents, options: TelemetryOptions) {
    this.#components = components;
    this.#options = options;
  }

  start(): void {
    void this.#tick();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  /** M1: the next tick is armed when this one has ended. */
  async #tick(): Promise<void> {
    const { clock, log, sampler } = this.#components;
    const startedAtMs = clock.monotonicMs();
    try {
      const figures = await sampler.sample();
      if (this.#isStopped) return;
      this.#publish(figures, startedAtMs);
      this.#wasFailing = false;
    } catch (error) {
      const fields = { event: "node.sample-failed", reason: describeError(error) };
      if (!this.#wasFailing) log.warn(fields, "sample not published"); // on the crossing only
      this.#wasFailing = true;
    }
    if (this.#isStopped) return;
    const spentMs = clock.monotonicMs() - startedAtMs;
    this.#cancel = clock.after(Math.max(1, SAMPLE_INTERVAL_MS - spentMs), () => void this.#tick());
  }

  #publish(figures: HostFigures, startedAtMs: number): void {
    const { clock, messaging } = this.#components;
    const { node, hostname, instances, store } = this.#options;
    this.#seq += 1;
    const sample: NodeSample = {
      node,
      host: hostname,
      seq: this.#seq,
      sampledAt: new Date(clock.wallMs()).toISOString(),
      ageMs: clock.monotonicMs() - startedAtMs,
      cpu: figures.cpu,
      memory: figures.memory,
      disk: {
        ...figures.disk,
        artifactBytes: store.storedBytes,
        artifactLimitBytes: store.limitBytes,
      },
      network: figures.network,
      gpus: figures.gpus,
      instances: instances(),
    };
    const subject = subjects.nodeSampled(node);
    publishValue(messaging, subject, sample);
    publishValue(messaging, subjects.opsOf(subject), sample, "json");
  }
}
