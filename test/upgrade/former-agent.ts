/**
 * A node agent and its workers of the former version, as the bus sees them: they hand values on.
 * Nobody listens to what is new: no probe, no fleet report, no artifact copy.
 */
import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Bus, call, publishValue, type Subscription, serve } from "@murakkab/bus";
import { NotFoundError } from "@murakkab/kit";
import { nodeProbeSchema, subjects } from "@murakkab/protocol";
import {
  FORMER_MEASURE,
  type FormerInstance,
  formerInstance,
  formerRegistration,
  readAsFormer,
} from "./former-messages.ts";

const HEARTBEAT_MS = 1_000;
const REGISTER_TIMEOUT_MS = 10_000;

export class FormerAgent {
  readonly node: string;
  readonly errors: unknown[] = [];
  readonly keys: string[] = [];
  registrationCount = 0;
  readonly #bus: Bus;
  readonly #incarnation = randomUUID();
  readonly #instances = new Map<string, FormerInstance>();
  readonly #subscriptions: Subscription[] = [];
  readonly #http: Server;
  #timer: NodeJS.Timeout | undefined;
  #beatCount = 0;

  private constructor(bus: Bus, node: string, http: Server) {
    this.#bus = bus;
    this.node = node;
    this.#http = http;
  }

  static async start(bus: Bus, node: string): Promise<FormerAgent> {
    const http = createServer((_request, response) => response.end("ok"));
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const agent = new FormerAgent(bus, node, http);
    agent.#listen();
    await agent.#register();
    agent.#timer = setInterval(() => agent.#beat(), HEARTBEAT_MS);
    return agent;
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#http.close();
  }

  async #register(): Promise<void> {
    const { port } = this.#http.address() as AddressInfo;
    const value = formerRegistration({
      node: this.node,
      incarnation: this.#incarnation,
      artifactUrl: `http://127.0.0.1:${port}`,
      instances: [...this.#instances.values()],
    });
    const request = { subject: subjects.nodeRegister, value };
    const options = { timeoutMs: REGISTER_TIMEOUT_MS };
    readAsFormer("registerReply", await call(this.#bus.messaging, request, options));
    this.registrationCount += 1;
  }

  #beat(): void {
    this.#beatCount += 1;
    const beat = { node: this.node, incarnation: this.#incarnation, seq: this.#beatCount };
    publishValue(this.#bus.messaging, subjects.nodeHeartbeat(this.node), beat);
  }

  #listen(): void {
    const { messaging } = this.#bus;
    this.#subscriptions.push(
      messaging.subscribe(subjects.nodeReregister(this.node), () => {
        this.#register().catch((error: unknown) => this.errors.push(error));
      }),
    );
    this.#serve(subjects.instanceStart(this.node), (value) => {
      const { instance, executor } = readAsFormer("instanceStart", value);
      const { id } = executor;
      this.#startWorker(instance, id);
      publishValue(messaging, subjects.instanceReady(this.node), {
        ...{ node: this.node, instance, executor: id },
      });
      return { instance, state: "ready" };
    });
    this.#serve(subjects.instanceStop(this.node), (value) => {
      this.#instances.delete(readAsFormer("instanceStop", value).instance);
      return { ok: true };
    });
    this.#serve(subjects.artifactStat(this.node), () => {
      throw new NotFoundError("artifact is not here");
    });
  }

  #startWorker(instance: string, executor: string): void {
    if (this.#instances.has(instance)) return;
    this.#instances.set(instance, formerInstance(instance, executor));
    this.#serve(subjects.actor("worker", instance), (value) => {
      const envelope = readAsFormer("envelope", value);
      if (envelope.kind !== "ask") throw new Error(`the former version has no ${envelope.kind}`);
      const { inputs, key } = readAsFormer("attempt", envelope.payload);
      this.keys.push(key);
      const outputs = { value: inputs["value"] };
      return { value: { outputs, measure: FORMER_MEASURE } };
    });
  }

  #serve(subject: string, handle: (value: unknown) => unknown): void {
    const onDefect = (error: unknown): void => void this.errors.push(error);
    const options = { subject, schema: nodeProbeSchema, what: "request", onDefect };
    this.#subscriptions.push(serve(this.#bus.messaging, options, handle));
  }
}
