/**
 * Where the artifacts of a job are, as far as is known.
 *
 * Owns:      the holders and their pins (R2).
 * Does not:  move bytes.
 */
import type { Bus } from "@murakkab/bus";
import { publishValue } from "@murakkab/bus";
import { type Cancel, type Clock, every, type Logger } from "@murakkab/kit";
import type { ArtifactHolder } from "@murakkab/model";
import { JOB_PIN_MS, type JournaledEvent, type PassedValue, subjects } from "@murakkab/protocol";
import type { Fleet } from "../fleet.ts";
import { artifactsIn } from "../passed-value.ts";

export interface HoldsComponents {
  readonly bus: Bus;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly log: Logger;
  /** Asks the agents who holds an artifact now. */
  readonly locate: (artifact: string) => Promise<readonly string[]>;
}

export class ArtifactHolds {
  private readonly parts: HoldsComponents;
  private readonly jobId: string;
  private readonly holders = new Map<string, Set<string>>();
  private cancelPins: Cancel | null = null;
  private isOver = false;

  constructor(components: HoldsComponents, jobId: string) {
    this.parts = components;
    this.jobId = jobId;
  }

  /** Nodes that are known to hold it. */
  nodesOf(artifact: string): readonly string[] {
    return [...(this.holders.get(artifact) ?? [])].sort();
  }

  holdersOf(artifact: string): ArtifactHolder[] {
    return this.nodesOf(artifact).flatMap((node) => {
      const url = this.parts.fleet.node(node)?.registration.artifactUrl;
      return url === undefined ? [] : [{ node, url }];
    });
  }

  hold(artifact: string, node: string): void {
    const nodes = this.holders.get(artifact);
    if (nodes === undefined) this.holders.set(artifact, new Set([node]));
    else nodes.add(node);
    this.keepPinned();
  }

  /** Every artifact of these values is on that node. */
  holdAll(values: Iterable<PassedValue>, node: string): void {
    for (const value of values) {
      for (const ref of artifactsIn(value)) this.hold(ref.artifact, node);
    }
  }

  replay({ event, detail }: JournaledEvent): void {
    const node = event.data["node"];
    if (detail?.outputs === undefined || typeof node !== "string") return;
    this.holdAll(Object.values(detail.outputs), node);
  }

  /** Nobody had it when it was asked for: the next attempt learns who has it now. */
  forget(artifact: string): void {
    this.holders.delete(artifact);
    this.parts.locate(artifact).then(
      (nodes) => {
        for (const node of nodes) this.hold(artifact, node);
      },
      (error: unknown) =>
        this.parts.log.warn(
          { event: "artifact.not-located", jobId: this.jobId, artifact, err: error },
          "artifact not located",
        ),
    );
  }

  localBytes(inputs: Readonly<Record<string, PassedValue>>): ReadonlyMap<string, number> {
    const bytes = new Map<string, number>();
    for (const ref of Object.values(inputs).flatMap((value) => artifactsIn(value))) {
      for (const node of this.holders.get(ref.artifact) ?? []) {
        bytes.set(node, (bytes.get(node) ?? 0) + ref.bytes);
      }
    }
    return bytes;
  }

  /** Once there is something to pin. */
  keepPinned(): void {
    if (this.cancelPins !== null || this.isOver || this.holders.size === 0) return;
    this.cancelPins = every(this.parts.clock, JOB_PIN_MS / 3, () => this.pin());
    this.pin();
  }

  /** Now, not at the next turn. */
  pin(): void {
    if (this.isOver) return;
    const nodes = new Set([...this.holders.values()].flatMap((it) => [...it]));
    for (const node of [...nodes].sort()) {
      const artifacts = [...this.holders].filter(([, it]) => it.has(node)).map(([it]) => it);
      const message = { jobId: this.jobId, artifacts, holdMs: JOB_PIN_MS };
      this.tellAgent(subjects.artifactPin(node), message);
    }
  }

  /** Another owner pins them from now on. */
  stop(): void {
    this.isOver = true;
    this.cancelPins?.();
  }

  /** The job is over. */
  release(): void {
    this.stop();
    if (this.holders.size === 0) return;
    for (const node of this.parts.fleet.listNodes()) {
      this.tellAgent(subjects.artifactRelease(node.registration.node), { jobId: this.jobId });
    }
  }

  private tellAgent(subject: string, value: unknown): void {
    try {
      publishValue(this.parts.bus.messaging, subject, value);
    } catch (error) {
      // The bus is away: pins outlast that, and the next one follows.
      this.parts.log.debug({ event: "pin.not-sent", subject, err: error }, "not sent");
    }
  }
}
