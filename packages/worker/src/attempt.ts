/**
 * Runs one attempt: inputs, cores, engine, outputs, and what it cost.
 *
 * Invariants:
 *   T1. Cores that were asked for are released, whatever happened; they are held only while the
 *       engine runs, not while bytes travel.
 *   T2. The scratch directory is gone when the attempt has answered.
 *   T3. The engine's time limit is the executor's, or the job's remaining time when that is less.
 *   T4. A failed attempt tells what it cost.
 *   T5. An executor that reserves no core asks the agent for none: no round trip, no line.
 */

import type { MessageContext } from "@murakkab/actor";
import type { AbortSignalLike, Cancel, Clock, Deadline, Logger } from "@murakkab/kit";
import {
  AbortSource,
  AssertionError,
  CancelledError,
  DeadlineExceededError,
  deadlineAfter,
  isRuntimeError,
  toWireError,
  UnavailableError,
} from "@murakkab/kit";
import type { ArtifactRef, ExecutorEntry, KnobValues } from "@murakkab/model";
import { collectArtifactRefs, parseInterfaceType } from "@murakkab/model";
import type { AttemptMeasure, AttemptRequest } from "@murakkab/protocol";
import { ArtifactOpener } from "./artifact-opener.ts";
import { checkBatch } from "./check-batch.ts";
import { checkKnobs } from "./check-knobs.ts";
import type { Engine, Values } from "./engine.ts";
import { attemptFailure, engineTimeout } from "./failure.ts";
import { LazyScratch } from "./lazy-scratch.ts";
import type { PackedOutputs } from "./pack-outputs.ts";
import { packOutputs } from "./pack-outputs.ts";
import type { AgentPort, ScratchPort, UsagePort } from "./ports.ts";
import type { Ended } from "./reply-cache.ts";
import type { InputResolver } from "./resolve-inputs.ts";

/** Files fetched before cores are asked for; an attempt that names more opens the rest itself. */
const PREFETCH_COUNT_MAX = 16;
/** Of a failure beside its texts, roughly. */
const FAILURE_BYTES = 512;

export interface AttemptComponents {
  readonly agent: AgentPort;
  readonly scratch: ScratchPort;
  readonly usage: UsagePort;
  readonly engine: Engine;
  readonly resolver: InputResolver;
  readonly clock: Clock;
  readonly log: Logger;
  /** Owns work that goes on after the answer. It never rejects. */
  readonly background: (work: Promise<void>) => void;
}

export interface AttemptOptions {
  readonly entry: ExecutorEntry;
  readonly threads: number;
  readonly request: AttemptRequest;
  /** Names this run at the core gate: two runs of one key must not share a hold. */
  readonly holdId: string;
}

export class Attempt {
  private readonly parts: AttemptComponents;
  private readonly entry: ExecutorEntry;
  private readonly threads: number;
  private readonly request: AttemptRequest;
  private readonly holdId: string;
  private readonly deadline: Deadline;
  private readonly opener: ArtifactOpener;
  private readonly stopping = new AbortSource();
  private measure: AttemptMeasure;

  constructor(components: AttemptComponents, options: AttemptOptions) {
    const { request } = options;
    this.parts = components;
    this.entry = options.entry;
    this.threads = options.threads;
    this.request = request;
    this.holdId = options.holdId;
    const deadline = deadlineAfter(components.clock, request.remainingMs);
    this.deadline = deadline;
    const { jobId, artifacts: locations } = request;
    this.opener = new ArtifactOpener(components.agent, { jobId, locations, deadline });
    const nowMs = components.clock.wallMs();
    this.measure = {
      runMs: 0,
      cpuSec: 0,
      memoryBytesMax: null,
      startedAtMs: nowMs,
      endedAtMs: nowMs,
    };
  }

  /** Never rejects, except for a defect of ours. */
  async run(context: MessageContext): Promise<Ended> {
    const forget = this.followSignals(context.signal);
    try {
      const { outputs, bytes } = await this.runInScratch();
      return { reply: { outputs, measure: this.measure }, bytes };
    } catch (error) {
      const cause = this.causeOf(error);
      const failure = toWireError(attemptFailure(cause, this.entry.id));
      this.logFailure(failure.code, isRuntimeError(cause) ? undefined : cause);
      const bytes = failure.message.length + (failure.detail?.length ?? 0) + FAILURE_BYTES;
      return { reply: { failure, measure: this.measure }, bytes };
    } finally {
      forget();
    }
  }

  /** What stopped the attempt or was missing, not how the engine ended because of it. */
  private causeOf(error: unknown): unknown {
    if (this.stopping.signal.aborted) return this.stopping.signal.reason;
    return error instanceof AssertionError ? error : (this.opener.lost ?? error);
  }

  private logFailure(code: string, defect: unknown): void {
    const { jobId, step, item, attempt } = this.request;
    const fields = { event: "attempt.failed", jobId, step, item, attempt, code };
    if (defect === undefined) this.parts.log.debug(fields, "attempt failed");
    else this.parts.log.warn({ ...fields, err: defect }, "attempt failed with an unknown error");
  }

  private followSignals(signal: AbortSignalLike): Cancel {
    const { clock } = this.parts;
    const onAbort = (): void => {
      this.stopping.abort(
        isRuntimeError(signal.reason)
          ? signal.reason
          : new CancelledError(`attempt ${this.request.key} was cancelled`),
      );
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort);
    const cancelDeadline = clock.after(this.deadline.remainingMs(), () => {
      this.stopping.abort(this.deadlineError());
    });
    return () => {
      signal.removeEventListener("abort", onAbort);
      cancelDeadline();
    };
  }

  private deadlineError(): DeadlineExceededError {
    return new DeadlineExceededError(`the deadline of attempt ${this.request.key} passed`);
  }

  private async runInScratch(): Promise<PackedOutputs> {
    const { agent, scratch: disk, resolver } = this.parts;
    const { request, entry, deadline, opener } = this;
    const { jobId } = request;
    const knobs = checkKnobs(entry, request.knobs);
    const inputs = await resolver.resolve(entry, request.inputs, opener);
    if (request.batchItems !== undefined) checkBatch(entry, inputs, request.batchItems);
    const refs = this.refsToPrefetch(inputs);
    if (refs.length > 0) await opener.prefetch(refs);
    this.throwIfStopped();
    const scratch = new LazyScratch(disk);
    const { batchItems } = request;
    const size = batchItems === undefined ? {} : { batchItems };
    const context = { agent, disk, entry, jobId, scratch, deadline, ...size };
    try {
      const work = { inputs, knobs, scratch };
      // T5.
      const outputs =
        entry.resources.cores === 0 ? await this.runEngine(work) : await this.runWithCores(work);
      return await packOutputs(context, outputs);
    } finally {
      await this.removeScratch(scratch); // T2
    }
  }

  /** Single files, not the files of lists: those may be evidence that nobody opens. */
  private refsToPrefetch(inputs: Values): ArtifactRef[] {
    const single = Object.entries(inputs).filter(([port]) => {
      const type = this.entry.inputs[port]?.type;
      return type !== undefined && !parseInterfaceType(type).isList;
    });
    return collectArtifactRefs(single.map(([, value]) => value)).slice(0, PREFETCH_COUNT_MAX);
  }

  private async runWithCores(work: EngineWork): Promise<Values> {
    const { agent } = this.parts;
    const attempt = this.holdId;
    const { cores } = this.entry.resources;
    const remainingMs = this.deadline.remainingMs();
    try {
      await agent.acquireCores({ attempt, cores, remainingMs }, this.stopping.signal);
    } catch (error) {
      // An UnavailableError says that the request never arrived: there is nothing to give back.
      if (!(error instanceof UnavailableError)) this.parts.background(this.releaseCores(attempt));
      throw error;
    }
    try {
      this.throwIfStopped();
      return await this.runEngine(work);
    } finally {
      // T1. Sent now and not waited for: the answer need not wait until a lost one was repeated.
      this.parts.background(this.releaseCores(attempt));
    }
  }

  private async runEngine({ inputs, knobs, scratch }: EngineWork): Promise<Values> {
    const { engine, usage, clock } = this.parts;
    const { opener } = this;
    const { signal } = this.stopping;
    const { timeLimitMs, id } = this.entry;
    // T3: the deadline's own timer is armed already.
    const cancelLimit = clock.after(timeLimitMs, () => {
      this.stopping.abort(engineTimeout(id, timeLimitMs));
    });
    const startedAtMs = clock.wallMs();
    const startedMs = clock.monotonicMs();
    const end = usage.begin();
    try {
      const outputs = await engine.run({
        inputs,
        knobs,
        isBatch: this.request.batchItems !== undefined,
        get scratchDir() {
          return scratch.path;
        },
        signal,
        threads: this.threads,
        openArtifact: (ref) => opener.open(ref),
      });
      this.throwIfStopped();
      return outputs;
    } finally {
      cancelLimit();
      const runMs = clock.monotonicMs() - startedMs;
      this.measure = { ...end(), runMs, startedAtMs, endedAtMs: startedAtMs + runMs }; // T4
    }
  }

  private throwIfStopped(): void {
    if (this.stopping.signal.aborted) throw this.stopping.signal.reason;
  }

  private async releaseCores(attempt: string): Promise<void> {
    try {
      await this.parts.agent.releaseCores(attempt);
    } catch (error) {
      const { cores } = this.entry.resources;
      this.parts.log.error(
        { event: "cores.leaked", attempt, cores, err: error },
        "cores not released",
      );
    }
  }

  private async removeScratch(scratch: LazyScratch): Promise<void> {
    try {
      await scratch.remove();
    } catch (error) {
      this.parts.log.warn({ event: "scratch.leaked", err: error }, "scratch directory not removed");
    }
  }
}

interface EngineWork {
  readonly inputs: Values;
  readonly knobs: KnobValues;
  readonly scratch: LazyScratch;
}
