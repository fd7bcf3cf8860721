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
 */
import type { Clock, Logger } from "@murakkab/kit";
import {
  deadlineAfter,
  describeError,
  InvalidArgumentError,
  isRuntimeError,
  NotFoundError,
  RetryableError,
  TimeoutError,
} from "@murakkab/kit";
import type { ArtifactLocation, ArtifactRef } from "@murakkab/model";
import { artifactHash } from "@murakkab/model";
import type {
  ArtifactImport,
  ArtifactIngest,
  ArtifactOpen,
  ArtifactPin,
  ArtifactStat,
  ArtifactStatReply,
} from "@murakkab/protocol";
import { JOB_PIN_MS } from "@murakkab/protocol";
import { FETCH_MS_MAX, IMPORT_MS_MAX } from "../limits.ts";
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
    const found = store.find(hash);
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

  pin(request: ArtifactPin): { missing: string[] } {
    const byHash = new Map(request.artifacts.map((uri) => [artifactHash(uri), uri]));
    const missing = this.#components.store.pin(request.jobId, [...byHash.keys()], request.holdMs);
    return { missing: missing.map((hash) => byHash.get(hash) ?? hash) };
  }

  release(request: { readonly jobId: string }): void {
    this.#components.store.release(request.jobId);
  }

  /** V1, V2. */
  async open(request: ArtifactOpen): Promise<{ path: string }> {
    const { clock, store } = this.#components;
    const hash = artifactHash(request.artifact.artifact);
    const deadline = deadlineAfter(clock, request.remainingMs);
    // As long as the attempt may run: its owner may not know yet that a copy is here.
    const holdMs = Math.max(JOB_PIN_MS, request.remainingMs);
    for (;;) {
      store.hold(request.jobId, hash, holdMs);
      const readable = await store.read(hash);
      if (readable !== null) return { path: readable.path };
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

  /** Tries the holders in turn. */
  async #fetch(request: ArtifactOpen, hash: string, remainingMs: number): Promise<void> {
    const { clock, fetcher, store, log } = this.#components;
    const { artifact, mediaType, name, holders } = request.artifact;
    const deadline = deadlineAfter(clock, remainingMs);
    let lastError: unknown;
    for (const holder of this.#othersOf(holders)) {
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
        return;
      } catch (error) {
        if (isRuntimeError(error) && error.code === "STORE_FULL") throw error;
        lastError = error;
        const reason = describeError(error);
        log.warn(
          { event: "artifact.fetch-failed", hash, from: holder.node, reason },
          "fetch failed",
        );
      }
    }
    if (lastError === undefined) {
      throw new NotFoundError(
        `artifact ${artifact} is not on ${this.#node} and has no other holder`,
      );
    }
    throw new RetryableError(
      "ARTIFACT_UNAVAILABLE",
      `artifact ${artifact} could not be fetched from any of ${holders.length} holders: ` +
        describeError(lastError),
      { cause: lastError },
    );
  }

  #othersOf(holders: ArtifactLocation["holders"]): ArtifactLocation["holders"] {
    return holders.filter((holder) => holder.node !== this.#node);
  }
}

function ignoreRuntimeError(error: unknown): void {
  if (!isRuntimeError(error)) throw error;
}
