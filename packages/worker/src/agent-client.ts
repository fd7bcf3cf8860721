/** The agent of this node, asked over the bus. */

import type { Messaging } from "@murakkab/bus";
import { callIdempotent } from "@murakkab/bus";
import type { AbortSignalLike, Clock, ErrorContext } from "@murakkab/kit";
import { delay, isRuntimeError, NoRespondersError, UnavailableError } from "@murakkab/kit";
import type { ArtifactRef } from "@murakkab/model";
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

export interface AgentClientOptions {
  readonly node: string;
  readonly instance: string;
}

export class AgentClient implements AgentPort {
  private readonly messaging: Messaging;
  private readonly clock: Clock;
  private readonly options: AgentClientOptions;

  constructor(
    components: { readonly messaging: Messaging; readonly clock: Clock },
    options: AgentClientOptions,
  ) {
    this.messaging = components.messaging;
    this.clock = components.clock;
    this.options = options;
  }

  async acquireCores(request: CoresRequest, signal: AbortSignalLike): Promise<void> {
    const { node, instance } = this.options;
    await this.ask(subjects.coresAcquire(node), {
      value: { instance, ...request },
      schema: okReplySchema,
      timeoutMs: request.remainingMs + REPLY_SLACK_MS,
      signal,
    });
  }

  async releaseCores(attempt: string): Promise<void> {
    const subject = subjects.coresRelease(this.options.node);
    for (let tries = 1; ; tries += 1) {
      try {
        await this.ask(subject, {
          value: { attempt },
          schema: okReplySchema,
          timeoutMs: RELEASE_TIMEOUT_MS,
        });
        return;
      } catch (error) {
        if (tries >= RELEASE_TRIES_MAX || !isRuntimeError(error) || !error.isRetryable) throw error;
        await delay(this.clock, RELEASE_RETRY_MS * tries);
      }
    }
  }

  async openArtifact(request: Parameters<AgentPort["openArtifact"]>[0]): Promise<string> {
    const { path } = await this.ask(subjects.artifactOpen(this.options.node), {
      value: request,
      schema: artifactOpenReplySchema,
      timeoutMs: request.remainingMs + REPLY_SLACK_MS,
    });
    return path;
  }

  async ingest(request: Parameters<AgentPort["ingest"]>[0]): Promise<ArtifactRef> {
    const { artifact } = await this.ask(subjects.artifactIngest(this.options.node), {
      value: request,
      schema: artifactIngestReplySchema,
      timeoutMs: INGEST_TIMEOUT_MS,
    });
    return artifact;
  }

  private async ask<T>(
    subject: string,
    request: {
      readonly value: unknown;
      readonly schema: NonNullable<Parameters<typeof callIdempotent<T>>[1]["schema"]>;
      readonly timeoutMs: number;
      readonly signal?: AbortSignalLike;
    },
  ): Promise<T> {
    const { value, schema, timeoutMs, signal } = request;
    try {
      // All of the agent's answers to a worker may be asked for twice: attempts, paths and
      // references are their own keys.
      return await callIdempotent<T>(
        { messaging: this.messaging, clock: this.clock },
        { subject, value, schema },
        { timeoutMs, ...(signal === undefined ? {} : { signal }) },
      );
    } catch (error) {
      if (!(error instanceof NoRespondersError)) throw error;
      const context: ErrorContext = { node: this.options.node };
      throw new UnavailableError(`the agent of node "${this.options.node}" is not there`, {
        cause: error,
        context,
      });
    }
  }
}
