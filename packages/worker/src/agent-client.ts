/**
 * The agent of this node, asked over the bus.
 *
 * Invariants:
 *   G1. An agent that is away is waited for within the attempt's time: a request is repeated while
 *       nobody is there, when the connection was lost, and when another agent has taken over.
 *   G2. Repeats carry the same names, so that what is asked twice happens once.
 *   G3. `holds` are the cores that this instance uses, whatever an agent thinks of it.
 */

import type { Messaging } from "@murakkab/bus";
import { callIdempotent } from "@murakkab/bus";
import type { AbortSignalLike, Clock, Deadline, ErrorContext, RuntimeError } from "@murakkab/kit";
import {
  AbortSource,
  CancelledError,
  deadlineAfter,
  delay,
  isRuntimeError,
  NoRespondersError,
  UnavailableError,
} from "@murakkab/kit";
import type { ArtifactRef } from "@murakkab/model";
import type { InstanceHello } from "@murakkab/protocol";
import {
  artifactIngestReplySchema,
  artifactOpenReplySchema,
  okReplySchema,
  subjects,
} from "@murakkab/protocol";
import type { AgentPort, CoresRequest } from "./ports.ts";

/** Beyond the time that the agent itself may wait, so that its own answer still arrives, ms. */
const REPLY_SLACK_MS = 500;
/** Longest time to move one finished file into the store, ms: at most a copy over file systems. */
const INGEST_TIMEOUT_MS = 60_000;
/** A release is a few map operations in the agent, ms. */
const RELEASE_TIMEOUT_MS = 2_000;
/** Releases are repeated: a lost one would keep cores until the instance ends. */
const RELEASE_TRIES_MAX = 10;
/** First pause; it grows by as much each time: ten tries span the usual reconnect of an agent. */
const RELEASE_RETRY_MS = 200;
/** Pause before an agent that is away is asked again, ms: a restarted one is there in a second. */
const AWAY_PAUSE_MS = 200;

export interface AgentClientOptions {
  readonly node: string;
  readonly instance: string;
}

interface Question<T> {
  /** Built anew for each try: the time that remains is part of it. */
  readonly valueAt: (remainingMs: number) => unknown;
  readonly schema: NonNullable<Parameters<typeof callIdempotent<T>>[1]["schema"]>;
  readonly deadline: Deadline;
  readonly tryMsMax: number;
  readonly signal?: AbortSignalLike;
}

export class AgentClient implements AgentPort {
  private readonly messaging: Messaging;
  private readonly clock: Clock;
  private readonly options: AgentClientOptions;
  /** Requests under way, so that none waits for an agent that is gone. */
  private readonly underWay = new Set<AbortSource>();
  private readonly held = new Map<string, number>();

  constructor(
    components: { readonly messaging: Messaging; readonly clock: Clock },
    options: AgentClientOptions,
  ) {
    this.messaging = components.messaging;
    this.clock = components.clock;
    this.options = options;
  }

  /** G3. */
  get holds(): InstanceHello["holds"] {
    return [...this.held].map(([attempt, cores]) => ({ attempt, cores }));
  }

  /** Another agent is there now: what waits for the former one's answer is asked of it (G1). */
  onNewAgent(): void {
    for (const source of this.underWay) source.abort(new CancelledError("the agent was replaced"));
  }

  async acquireCores(request: CoresRequest, signal: AbortSignalLike): Promise<void> {
    const { node, instance } = this.options;
    const { attempt, cores } = request;
    await this.ask(subjects.coresAcquire(node), {
      valueAt: (remainingMs) => ({ instance, attempt, cores, remainingMs }),
      schema: okReplySchema,
      deadline: deadlineAfter(this.clock, request.remainingMs),
      tryMsMax: Number.POSITIVE_INFINITY,
      signal,
    });
    this.held.set(attempt, cores);
  }

  async releaseCores(attempt: string): Promise<void> {
    this.held.delete(attempt); // a new agent that never heard of the release is not told of it (G3)
    const subject = subjects.coresRelease(this.options.node);
    for (let tries = 1; ; tries += 1) {
      try {
        const value = { attempt };
        await callIdempotent(
          { messaging: this.messaging, clock: this.clock },
          { subject, value, schema: okReplySchema },
          { timeoutMs: RELEASE_TIMEOUT_MS },
        );
        return;
      } catch (error) {
        if (!isRuntimeError(error) || !error.isRetryable) throw error;
        if (tries >= RELEASE_TRIES_MAX) {
          // An agent that stays away has no cores of ours: the next one hears what is still held.
          if (error instanceof NoRespondersError) return;
          throw error;
        }
        await delay(this.clock, RELEASE_RETRY_MS * tries);
      }
    }
  }

  async openArtifact(request: Parameters<AgentPort["openArtifact"]>[0]): Promise<string> {
    const { jobId, artifact } = request;
    const { path } = await this.ask(subjects.artifactOpen(this.options.node), {
      valueAt: (remainingMs) => ({ jobId, artifact, remainingMs }),
      schema: artifactOpenReplySchema,
      deadline: deadlineAfter(this.clock, request.remainingMs),
      tryMsMax: Number.POSITIVE_INFINITY,
    });
    return path;
  }

  async ingest(request: Parameters<AgentPort["ingest"]>[0]): Promise<ArtifactRef> {
    const { jobId, path, mediaType } = request;
    const { artifact } = await this.ask(subjects.artifactIngest(this.options.node), {
      valueAt: () => ({ jobId, path, mediaType }),
      schema: artifactIngestReplySchema,
      deadline: deadlineAfter(this.clock, request.remainingMs),
      tryMsMax: INGEST_TIMEOUT_MS,
    });
    return artifact;
  }

  /** G1, G2. */
  private async ask<T>(subject: string, question: Question<T>): Promise<T> {
    const { deadline, signal } = question;
    for (let tries = 1; ; tries += 1) {
      const source = new AbortSource();
      try {
        return await this.askOnce(subject, question, source);
      } catch (error) {
        const isReplaced = source.signal.aborted && signal?.aborted !== true;
        const isAway = isReplaced || error instanceof NoRespondersError;
        if (!isAway) throw tries === 1 ? error : asked(tries, error);
        if (deadline.remainingMs() <= AWAY_PAUSE_MS) throw this.away(error);
      }
      await delay(this.clock, AWAY_PAUSE_MS, signal);
    }
  }

  private async askOnce<T>(
    subject: string,
    { valueAt, schema, deadline, tryMsMax, signal }: Question<T>,
    source: AbortSource,
  ): Promise<T> {
    const onAbort = (): void => source.abort(signal?.reason);
    if (signal?.aborted) onAbort();
    signal?.addEventListener("abort", onAbort);
    this.underWay.add(source);
    const remainingMs = deadline.remainingMs();
    try {
      return await callIdempotent<T>(
        { messaging: this.messaging, clock: this.clock },
        { subject, value: valueAt(remainingMs), schema },
        { timeoutMs: Math.min(remainingMs + REPLY_SLACK_MS, tryMsMax), signal: source.signal },
      );
    } finally {
      this.underWay.delete(source);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  private away(cause: unknown): UnavailableError {
    const context: ErrorContext = { node: this.options.node };
    const message = `the agent of node "${this.options.node}" is not there and did not come back in time`;
    return new UnavailableError(message, { cause, context });
  }
}

/**
 * What is terminal for the first ask need not be for a repeat: a file that a former agent had moved
 * is no longer where a repeat looks for it. Another attempt makes it again.
 */
function asked(tries: number, error: unknown): unknown {
  if (!isRuntimeError(error) || error.isRetryable || !REPEATABLE_CODES.has(error.code))
    return error;
  const message = `the agent was lost while it worked on this, asked ${tries} times: ${error.message}`;
  return new UnavailableError(message, { cause: error satisfies RuntimeError });
}

const REPEATABLE_CODES = new Set(["INVALID_ARGUMENT", "INSTANCE_ENDED"]);
