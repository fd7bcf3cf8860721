/**
 * What the scheduler and the workers may ask of a node's artifact store.
 *
 * Owns:      import, stat, open, ingest, pin and release as answers to checked messages.
 * Does not:  hold bytes (artifact-store.ts) or speak HTTP (the ports do).
 *
 * Invariants:
 *   V1. One artifact is fetched from another node at most once at a time, however many wait.
 *   V2. A worker gets a path only while the artifact is pinned for its job.
 *   V3. Only a file below a live instance's scratch directory is taken in.
 *   V4. An artifact is called lost only when every holder said that it does not have it, or could
 *       not be reached for LOST_AFTER_MS.
 */
import type { Clock, Deadline, Logger } from "@murakkab/kit";
import {
  deadlineAfter,
  delay,
  describeError,
  InvalidArgumentError,
  isRuntimeError,
  RetryableError,
  TimeoutError,
} from "@murakkab/kit";
import type { ArtifactHolder, ArtifactLocation, ArtifactRef } from "@murakkab/model";
import { artifactHash } from "@murakkab/model";
import type {
  ArtifactCopy,
  ArtifactImport,
  ArtifactIngest,
  ArtifactOpen,
  ArtifactPin,
  ArtifactStat,
  ArtifactStatReply,
} from "@murakkab/protocol";
import { JOB_PIN_MS } from "@murakkab/protocol";
import { FETCH_MS_MAX, HOLDER_RETRY_MS, IMPORT_MS_MAX, LOST_AFTER_MS } from "../limits.ts";
import type { FetchPort, PathPort, ProbeOutcome, ProbePort, SourcePort } from "../ports.ts";
import { within } from "../within.ts";
import type { ArtifactStore } from "./artifact-store.ts";
import { tooLarge } from "./artifact-store.ts";

/** Answers kept for repeats: more than workers can have open when the bus goes away. */
const INGESTS_REMEMBERED_COUNT_MAX = 1_024;

export interface ArtifactComponents {
  readonly clock: Clock;
  readonly log: Logger;
  readonly store: ArtifactStore;
  readonly source: SourcePort;
  readonly fetcher: FetchPort;
  readonly probe: ProbePort;
  readonly paths: PathPort;
  /** Scratch directories of the instances that live now. */
  readonly scratchDirs: () => readonly string[];
}

export class ArtifactService {
  readonly #components: ArtifactComponents;
  readonly #node: string;
  readonly #flights = new Map<string, Promise<void>>();
  readonly #probes = new Map<string, Promise<ProbeOutcome>>();
  readonly #ingests = new Map<string, Promise<{ artifact: ArtifactRef }>>();

  constructor(components: ArtifactComponents, options: { readonly node: string }) {
    this.#components = components;
    this.#node = options.node;
  }

  async import(request: ArtifactImport): Promise<{ artifact: ArtifactRef }> {
    const { source, store, clock } = this.#components;
    const remainingMs = Math.min(request.remainingMs, IMPORT_MS_MAX);
    const opened = await source.open(request.source, {
      remainingMs,
      bytesMax: store.limitBytes,
    });
    const { mediaType, name, bytes, stream } = opened;
    const what = name ?? "the input";
    if (bytes !== null && bytes > store.limitBytes) throw tooLarge(what, store.limitBytes);
    const put = store.put(stream, {
      jobId: request.jobId,
      holdMs: JOB_PIN_MS,
      mediaType,
      ...(name === undefined ? {} : { name }),
      what,
    });
    const artifact = await within(clock, remainingMs, put, () => {
      return new TimeoutError(`import of ${what} did not end within ${Math.round(remainingMs)} ms`);
    });
    return { artifact };
  }

  async stat(request: ArtifactStat): Promise<ArtifactStatReply> {
    const { store } = this.#components;
    const hash = artifactHash(request.artifact);
    const found = (await store.isHere(hash)) ? store.find(hash) : null;
    if (found === null) return { artifact: null, media: null };
    if (!request.probe) return { artifact: found.ref, media: found.probed?.media ?? null };
    const readable = found.probed === null ? await store.read(hash) : null;
    if (found.probed === null && readable === null) return { artifact: null, media: null };
    const what = found.ref.name ?? found.ref.artifact;
    if (found.ref.bytes === 0) throw new InvalidArgumentError(`file ${what} is empty`);
    const { media, problem } = found.probed ?? (await this.#probe(hash, readable?.path ?? ""));
    return {
      artifact: found.ref,
      media,
      ...(problem === undefined ? {} : { problem: problem.replace("{name}", what) }),
    };
  }

  /** One ffprobe per content, however many jobs name it at the same time. */
  #probe(hash: string, path: string): Promise<ProbeOutcome> {
    const known = this.#probes.get(hash);
    if (known !== undefined) return known;
    const { store, probe } = this.#components;
    const flight = probe
      .probe(path)
      .then((probed) => {
        if (probed.media !== null) store.rememberProbe(hash, probed);
        return probed;
      })
      .finally(() => this.#probes.delete(hash));
    this.#probes.set(hash, flight);
    return flight;
  }

  async pin(request: ArtifactPin): Promise<{ missing: string[] }> {
    const byHash = new Map(request.artifacts.map((uri) => [artifactHash(uri), uri]));
    const { store } = this.#components;
    await Promise.all([...byHash.keys()].map((hash) => store.isHere(hash)));
    const missing = store.pin(request.jobId, [...byHash.keys()], request.holdMs);
    return { missing: missing.map((hash) => byHash.get(hash) ?? hash) };
  }

  release(request: { readonly jobId: string }): void {
    this.#components.store.release(request.jobId);
  }

  /** V2. */
  async open(request: ArtifactOpen): Promise<{ path: string }> {
    // As long as the attempt may run: its owner may not know yet that a copy is here.
    const holdMs = Math.max(JOB_PIN_MS, request.remainingMs);
    const { path } = await this.#bring(request, holdMs);
    return { path };
  }

  /** A second holder for what must not be lost with the first. */
  async copy(request: ArtifactCopy): Promise<{ artifact: ArtifactRef }> {
    const { ref } = await this.#bring(request, request.holdMs);
    return { artifact: ref };
  }

  /** V1: here at once, or fetched. Errors: see `#fetch`; `TIMEOUT`. */
  async #bring(
    request: ArtifactOpen,
    holdMs: number,
  ): Promise<{ readonly path: string; readonly ref: ArtifactRef }> {
    const { clock, store } = this.#components;
    const hash = artifactHash(request.artifact.artifact);
    const deadline = deadlineAfter(clock, request.remainingMs);
    for (;;) {
      store.hold(request.jobId, hash, holdMs);
      const readable = await store.read(hash);
      if (readable !== null) return readable;
      const remainingMs = deadline.remainingMs();
      const late = (): TimeoutError =>
        new TimeoutError(`fetch of ${request.artifact.artifact} did not end in time`);
      if (remainingMs <= 0) throw late();
      const joined = this.#flights.get(hash);
      if (joined === undefined) {
        await within(clock, remainingMs, this.#startFlight(request, hash, remainingMs), late);
      } else {
        // The one who fetches may have less time or fewer holders: on its error fetch again.
        await within(clock, remainingMs, joined.catch(ignoreRuntimeError), late);
      }
    }
  }

  /** V3. */
  /** A repeat for the same path gets the first one's answer: the file itself has moved. */
  ingest(request: ArtifactIngest): Promise<{ artifact: ArtifactRef }> {
    const known = this.#ingests.get(request.path);
    if (known !== undefined) return known;
    const ingest = this.#ingest(request);
    this.#ingests.set(request.path, ingest);
    if (this.#ingests.size > INGESTS_REMEMBERED_COUNT_MAX) {
      const oldest = this.#ingests.keys().next().value;
      if (oldest !== undefined) this.#ingests.delete(oldest);
    }
    // A failed one may be tried again.
    ingest.catch(() => this.#ingests.delete(request.path));
    return ingest;
  }

  async #ingest(request: ArtifactIngest): Promise<{ artifact: ArtifactRef }> {
    const { paths, scratchDirs, store } = this.#components;
    const { jobId, mediaType, name } = request;
    for (const dir of scratchDirs()) {
      const path = await paths.resolveBelow(dir, request.path);
      if (path === null) continue;
      const artifact = await store.adopt(path, {
        jobId,
        holdMs: JOB_PIN_MS,
        mediaType,
        ...(name === undefined ? {} : { name }),
        what: name ?? "the result file",
        isEmptyAllowed: true,
      });
      return { artifact };
    }
    throw new InvalidArgumentError(
      `path ${request.path} is not valid, expected a file below an instance's scratch directory`,
      { field: "path" },
    );
  }

  #startFlight(request: ArtifactOpen, hash: string, remainingMs: number): Promise<void> {
    const flight = this.#fetch(request, hash, Math.min(remainingMs, FETCH_MS_MAX)).finally(() =>
      this.#flights.delete(hash),
    );
    this.#flights.set(hash, flight);
    return flight;
  }

  /**
   * Tries the holders in turn, and again those that could not give it now. Errors: `STORE_FULL`;
   * `ARTIFACT_LOST` (V4), retryable: the step that made it can make it again;
   * `ARTIFACT_UNAVAILABLE` when a holder is there and refuses it, with a wrong token, say.
   */
  async #fetch(request: ArtifactOpen, hash: string, remainingMs: number): Promise<void> {
    const { clock } = this.#components;
    const { artifact, holders } = request.artifact;
    const deadline = deadlineAfter(clock, remainingMs);
    const patience = deadlineAfter(clock, Math.min(LOST_AFTER_MS, remainingMs));
    let left = this.#othersOf(holders);
    let lastError: unknown;
    let refusal: unknown;
    for (let pauseMs = HOLDER_RETRY_MS; left.length > 0; pauseMs *= 2) {
      const unable: ArtifactHolder[] = [];
      refusal = undefined;
      for (const holder of left) {
        const error = await this.#fetchFrom(holder, request, { hash, deadline });
        if (error === null) return;
        lastError = error;
        if (!isGone(error)) unable.push(holder);
        if (isRuntimeError(error) && error.code === "FETCH_REFUSED") refusal = error;
      }
      left = unable;
      if (left.length === 0 || patience.remainingMs() <= 0) break;
      await delay(clock, Math.min(pauseMs, patience.remainingMs()));
    }
    const cause = refusal ?? lastError;
    const why = cause === undefined ? "it has no other holder" : describeError(cause);
    throw new RetryableError(
      refusal === undefined ? "ARTIFACT_LOST" : "ARTIFACT_UNAVAILABLE",
      `artifact ${artifact} is not on node ${this.#node} and none of its ${holders.length} holders gave it: ${why}`,
      { cause, context: { artifact } },
    );
  }

  /** Null when it is here now. Errors: `STORE_FULL`, which no other holder can help. */
  async #fetchFrom(
    holder: ArtifactHolder,
    request: ArtifactOpen,
    { hash, deadline }: { readonly hash: string; readonly deadline: Deadline },
  ): Promise<unknown> {
    const { fetcher, store, log } = this.#components;
    const { artifact, mediaType, name } = request.artifact;
    try {
      const stream = await fetcher.fetch(holder, hash, deadline.remainingMs());
      await store.put(stream, {
        jobId: request.jobId,
        holdMs: JOB_PIN_MS,
        mediaType,
        ...(name === undefined ? {} : { name }),
        expectedHash: hash,
        what: artifact,
        isEmptyAllowed: true,
      });
      log.debug({ event: "artifact.fetched", hash, from: holder.node }, "artifact fetched");
      return null;
    } catch (error) {
      if (isRuntimeError(error) && error.code === "STORE_FULL") throw error;
      const reason = describeError(error);
      log.warn({ event: "artifact.fetch-failed", hash, from: holder.node, reason }, "fetch failed");
      return error;
    }
  }

  #othersOf(holders: ArtifactLocation["holders"]): ArtifactLocation["holders"] {
    return holders.filter((holder) => holder.node !== this.#node);
  }
}

function ignoreRuntimeError(error: unknown): void {
  if (!isRuntimeError(error)) throw error;
}

/** That holder will not have it later either: it said so, or what it has is something else. */
function isGone(error: unknown): boolean {
  return isRuntimeError(error) && ["NOT_FOUND", "HASH_MISMATCH"].includes(error.code);
}
