/**
 * Local paths of one attempt's artifacts, each asked of the agent once.
 *
 * A failed opening is told to whoever needs that artifact, not to the attempt as a whole.
 */
import type { Deadline, RuntimeError } from "@murakkab/kit";
import { isRuntimeError } from "@murakkab/kit";
import type { ArtifactLocation, ArtifactRef } from "@murakkab/model";
import type { AgentPort } from "./ports.ts";

export interface OpenerOptions {
  readonly jobId: string;
  /** Where artifacts are; for others the agent is asked without a holder. */
  readonly locations: readonly ArtifactLocation[];
  readonly deadline: Deadline;
}

export class ArtifactOpener {
  private readonly agent: AgentPort;
  private readonly options: OpenerOptions;
  private readonly paths = new Map<string, Promise<string>>();
  private lostError: RuntimeError | null = null;

  constructor(agent: AgentPort, options: OpenerOptions) {
    this.agent = agent;
    this.options = options;
  }

  /** An artifact that was wanted and that no holder has any more: `ARTIFACT_LOST`. */
  get lost(): RuntimeError | null {
    return this.lostError;
  }

  open(ref: ArtifactRef): Promise<string> {
    const known = this.paths.get(ref.artifact);
    if (known !== undefined) return known;
    const { jobId, locations, deadline } = this.options;
    const artifact = locations.find((location) => location.artifact === ref.artifact) ?? {
      ...ref,
      holders: [],
    };
    const path = this.agent.openArtifact({ jobId, artifact, remainingMs: deadline.remainingMs() });
    this.paths.set(ref.artifact, path);
    path.catch((error: unknown) => {
      if (isRuntimeError(error) && error.code === "ARTIFACT_LOST") this.lostError ??= error;
    });
    return path;
  }

  /** Fetches ahead, so that cores are not held while bytes travel. Never rejects. */
  async prefetch(refs: readonly ArtifactRef[]): Promise<void> {
    await Promise.allSettled(refs.map((ref) => this.open(ref)));
  }
}
