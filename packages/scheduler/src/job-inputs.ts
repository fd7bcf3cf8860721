/**
 * A job's inputs: from what the submission says to artifacts that are held, typed and located.
 *
 * Owns:      references, URLs and paths to (artifact, media, holders); types of workflow inputs.
 * Does not:  read files or fetch URLs itself: an agent does, within its limits.
 */
import { call, type Messaging } from "@murakkab/bus";
import type { TypedInput } from "@murakkab/core";
import { InvalidArgumentError, isRuntimeError, NotFoundError, RetryableError } from "@murakkab/kit";
import { type ArtifactRef, artifactHash } from "@murakkab/model";
import {
  artifactIngestReplySchema,
  artifactStatReplySchema,
  type MediaInfo,
  type PassedValue,
  subjects,
} from "@murakkab/protocol";
import type { Fleet } from "./fleet.ts";

export interface ResolvedInput {
  /** What the user called it. */
  readonly source: string;
  readonly artifact: ArtifactRef;
  readonly media: MediaInfo;
  readonly holders: readonly string[];
}

export interface WorkflowInputs {
  readonly typed: readonly TypedInput[];
  readonly values: Readonly<Record<string, PassedValue>>;
  readonly excludedTypes: ReadonlyMap<string, string>;
  readonly gaps: readonly string[];
}

/** A stat asks the agent for a hash it has or has not, and for one ffprobe of a local file, ms. */
const STAT_TIMEOUT_MS = 20_000;
/** Longest download of a URL input while the submitter waits for its answer, ms. */
const IMPORT_TIMEOUT_MS = 120_000;

export class InputResolver {
  private readonly fleet: Fleet;
  private readonly messaging: Messaging;

  constructor(components: { readonly fleet: Fleet; readonly messaging: Messaging }) {
    this.fleet = components.fleet;
    this.messaging = components.messaging;
  }

  /** Errors: clear ones that name the input; `NO_NODES` (retryable) without agents. */
  async resolve(inputs: readonly string[], jobId: string): Promise<readonly ResolvedInput[]> {
    if (inputs.length === 0) return [];
    if (this.nodes().length === 0) throw noNodes();
    const resolved: ResolvedInput[] = [];
    for (const [index, source] of inputs.entries()) {
      try {
        resolved.push(await this.resolveOne(source, jobId));
      } catch (error) {
        throw isRuntimeError(error) && error.field === undefined
          ? withField(error, `inputs.${index}`)
          : error;
      }
    }
    return resolved;
  }

  private nodes(): readonly string[] {
    return this.fleet.listNodes().map((node) => node.registration.node);
  }

  private async resolveOne(source: string, jobId: string): Promise<ResolvedInput> {
    if (source.startsWith("artifact://")) {
      artifactHash(source);
      return this.locate(source, source);
    }
    const artifact = await this.import(source, jobId);
    return this.locate(source, artifact.artifact, artifact.name);
  }

  /** Asks every agent whether it holds the artifact. Errors: `NOT_FOUND`. */
  async locate(source: string, uri: string, name?: string): Promise<ResolvedInput> {
    const answers = await Promise.all(
      this.nodes().map(async (node) => {
        try {
          const reply = await call(
            this.messaging,
            {
              subject: subjects.artifactStat(node),
              value: { artifact: uri, probe: true },
              schema: artifactStatReplySchema,
            },
            { timeoutMs: STAT_TIMEOUT_MS },
          );
          return { node, reply, error: null };
        } catch (error) {
          return { node, reply: null, error };
        }
      }),
    );
    const holders = answers.filter(({ reply }) => reply?.artifact != null);
    const first = holders[0]?.reply;
    if (first?.artifact == null) {
      const failed = answers.find(({ error }) => error !== null);
      // An agent that did not answer may hold it: then this is trouble of today, not a wrong name.
      if (failed !== undefined) throw failed.error;
      throw new NotFoundError(
        `input "${source}" is held by no node, expected an uploaded artifact`,
      );
    }
    const label = name ?? first.artifact.name ?? source;
    if (first.artifact.bytes === 0) {
      throw new InvalidArgumentError(`input "${label}" is empty, expected a file with content`);
    }
    const media = first.media ?? {
      type: "file",
      hasAudio: false,
      hasPictures: false,
      durationSec: null,
    };
    return {
      source: label,
      artifact: first.artifact,
      media,
      holders: holders.map(({ node }) => node),
    };
  }

  /** A path may be below the roots of one agent only: each is asked until one takes it. */
  private async import(source: string, jobId: string): Promise<ArtifactRef> {
    let refusal: unknown = noNodes();
    for (const node of this.nodes()) {
      try {
        const { artifact } = await call(
          this.messaging,
          {
            subject: subjects.artifactImport(node),
            value: { jobId, source, remainingMs: IMPORT_TIMEOUT_MS },
            schema: artifactIngestReplySchema,
          },
          { timeoutMs: IMPORT_TIMEOUT_MS + 1_000 },
        );
        return artifact;
      } catch (error) {
        refusal = error;
        if (/^https?:/i.test(source) && isRuntimeError(error) && !error.isRetryable) throw error;
      }
    }
    throw refusal;
  }
}

export function noNodes(): RetryableError {
  return new RetryableError(
    "NO_NODES",
    'no node agent is registered with the scheduler, expected at least one (start one with "murakkab node")',
    { retryAfterMs: 2_000 },
  );
}

function withField<T extends { message: string; code: string; isRetryable: boolean }>(
  error: T,
  field: string,
): Error {
  const options = { field, cause: error };
  return error.isRetryable
    ? new RetryableError(error.code, error.message, options)
    : new InvalidArgumentErrorWithCode(error.code, error.message, options);
}

/** Keeps the code of the cause: callers test codes, not classes. */
class InvalidArgumentErrorWithCode extends InvalidArgumentError {
  override readonly code: string;

  constructor(code: string, message: string, options: { field: string; cause: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** A file of such a name promises pictures; a sound file promises none. */
const VIDEO_EXTENSIONS = /\.(mp4|m4v|mov|mkv|webm|avi|mpe?g)$/i;
const MEDIA_EXTENSIONS =
  /\.(mp4|m4v|mov|mkv|webm|avi|mpe?g|wav|mp3|flac|ogg|opus|m4a|aac|png|jpe?g|webp|gif)$/i;

/**
 * Names, types and values of the workflow's inputs: the job's text as `question`, each file by its
 * media type. What a file lacks becomes an excluded type with its reason.
 */
export function typeInputs(
  description: string | undefined,
  resolved: readonly ResolvedInput[],
): WorkflowInputs {
  const typed: TypedInput[] = [];
  const values: Record<string, PassedValue> = {};
  const excludedTypes = new Map<string, string>();
  const gaps: string[] = [];
  if (description !== undefined) {
    typed.push({ name: "question", type: "question" });
    values["question"] = { kind: "inline", value: description };
  }
  for (const { source, artifact, media } of resolved) {
    const { type } = media;
    if (type === "file" && MEDIA_EXTENSIONS.test(source)) {
      throw new InvalidArgumentError(
        `input "${source}" is not readable as media: ffprobe finds no stream in it, expected a video, audio or image file`,
        { field: "inputs" },
      );
    }
    if (values[type] !== undefined) {
      throw new InvalidArgumentError(
        `input "${source}" is the second of type ${type}, expected one ${type} per job`,
        { field: "inputs" },
      );
    }
    typed.push({ name: type, type });
    values[type] = { kind: "inline", value: artifact };
    if (type === "video" && !media.hasAudio) {
      const gap = `video "${source}" has no sound`;
      excludedTypes.set("audio", gap);
      gaps.push(gap);
    }
    if (type === "audio" && VIDEO_EXTENSIONS.test(source)) {
      const gap = `input "${source}" has sound but no pictures`;
      excludedTypes.set("video", gap);
      gaps.push(gap);
    }
  }
  return { typed, values, excludedTypes, gaps };
}
