/**
 * The second copy of a job's inputs, on another host than the first.
 *
 * Does not:  move bytes: the agent that gets the copy fetches it from a holder.
 */
import { call, type Messaging } from "@murakkab/bus";
import { isRuntimeError, type Logger } from "@murakkab/kit";
import { artifactIngestReplySchema, JOB_PIN_MS, subjects } from "@murakkab/protocol";
import type { Fleet, FleetNode } from "./fleet.ts";
import type { ResolvedInput } from "./job-inputs.ts";

/** A large video over a slow link; the submitter waits for it. ms. */
const COPY_TIMEOUT_MS = 120_000;

export interface CopiedInputs {
  readonly resolved: readonly ResolvedInput[];
  /** What could not be copied, one sentence each. */
  readonly notes: readonly string[];
}

export class InputCopier {
  private readonly fleet: Fleet;
  private readonly messaging: Messaging;
  private readonly log: Logger;

  constructor(components: {
    readonly fleet: Fleet;
    readonly messaging: Messaging;
    readonly log: Logger;
  }) {
    this.fleet = components.fleet;
    this.messaging = components.messaging;
    this.log = components.log;
  }

  async copy(inputs: readonly ResolvedInput[], jobId: string): Promise<CopiedInputs> {
    const nodes = this.fleet.listNodes();
    const hosts = new Set(nodes.map((node) => hostOf(node)));
    if (inputs.length === 0 || hosts.size < 2) return { resolved: inputs, notes: [] };
    const notes: string[] = [];
    const resolved = await Promise.all(
      inputs.map(async (input) => {
        const copied = await this.copyOne(input, nodes, jobId);
        if (copied !== null) return copied;
        notes.push(`input "${input.source}" is on one host only: no other host could copy it`);
        return input;
      }),
    );
    return { resolved, notes };
  }

  /** Null when no other host took it. */
  private async copyOne(
    input: ResolvedInput,
    nodes: readonly FleetNode[],
    jobId: string,
  ): Promise<ResolvedInput | null> {
    const holders = nodes.filter((node) => input.holders.includes(node.registration.node));
    const hosts = new Set(holders.map((node) => hostOf(node)));
    if (hosts.size >= 2) return input;
    const candidates = nodes
      .filter((node) => !hosts.has(hostOf(node)))
      .sort((a, b) => usedBytes(a) - usedBytes(b));
    for (const { registration } of candidates) {
      try {
        await call(
          this.messaging,
          {
            subject: subjects.artifactCopy(registration.node),
            value: {
              jobId,
              artifact: {
                ...input.artifact,
                holders: holders.map(({ registration: { node, artifactUrl } }) => ({
                  node,
                  url: artifactUrl,
                })),
              },
              holdMs: JOB_PIN_MS,
              remainingMs: COPY_TIMEOUT_MS,
            },
            schema: artifactIngestReplySchema,
          },
          { timeoutMs: COPY_TIMEOUT_MS + 1_000 },
        );
        return { ...input, holders: [...input.holders, registration.node] };
      } catch (error) {
        const code = isRuntimeError(error) ? error.code : "INTERNAL";
        const fields = { event: "input.not-copied", jobId, node: registration.node, code };
        this.log.warn(fields, "input not copied");
      }
    }
    return null;
  }
}

function hostOf({ registration: { host } }: FleetNode): string {
  return `${host.machineId} ${host.bootId}`;
}

function usedBytes(node: FleetNode): number {
  return node.sample?.disk.artifactBytes ?? 0;
}
