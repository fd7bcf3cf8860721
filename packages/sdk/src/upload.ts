/**
 * Files on their way into the cluster.
 *
 * Owns:      checking a local file, asking for a ticket, streaming the bytes to the node.
 * Does not:  hold a file in memory, or pin it: the node pins an upload until a job names it.
 *
 * Invariants:
 *   U1. Every error about a file names the file as the caller wrote it.
 *   U2. The ticket goes into a header, never into a URL, a message or a log.
 */

import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Messaging } from "@murakkab/bus";
import { InvalidArgumentError, isRuntimeError } from "@murakkab/kit";
import type { ArtifactRef } from "@murakkab/model";
import { subjects, uploadReplySchema } from "@murakkab/protocol";
import { callUntilAnswered, TICKET_POLICY } from "./call-until-answered.ts";
import { postFile } from "./post-file.ts";

/** Anything that yields bytes: a Node stream, a web stream, an async generator. */
export type ByteStream = AsyncIterable<Uint8Array>;

export interface UploadOptions {
  /** Name for messages and for the guess of the media type. Default: the file's own name. */
  readonly name?: string;
  readonly signal?: AbortSignal;
  /** Called as bytes leave, at most once per piece of the stream. */
  readonly onProgress?: (sentBytes: number, totalBytes: number) => void;
}

/** The wire's own bound. */
const NAME_CHARS_MAX = 255;

export async function uploadFile(
  messaging: Messaging,
  path: string,
  options: UploadOptions = {},
): Promise<ArtifactRef> {
  const bytes = await checkFile(path);
  const name = shortName(options.name ?? basename(path));
  const target = await callUntilAnswered(
    messaging,
    { subject: subjects.artifactUpload, value: { bytes, name }, schema: uploadReplySchema },
    {
      policy: TICKET_POLICY,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  );
  const { ticket, node } = target;
  const url = `${target.url}?name=${encodeURIComponent(name)}`;
  return postFile(createReadStream(path), {
    ...{ url, ticket, node, bytes, what: `input ${path}` },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
  });
}

/** A stream has no length, which a ticket needs: it is spooled to a private temporary file. */
export async function uploadStream(
  messaging: Messaging,
  stream: ByteStream,
  options: UploadOptions = {},
): Promise<ArtifactRef> {
  const name = options.name ?? "upload";
  const directory = await mkdtemp(join(tmpdir(), "murakkab-upload-"));
  try {
    const path = join(directory, "content");
    await pipeline(Readable.from(stream), createWriteStream(path, { mode: 0o600 }));
    return await uploadFile(messaging, path, { ...options, name });
  } catch (error) {
    if (!isRuntimeError(error)) throw error;
    // U1: the spool file's path means nothing to the caller.
    throw new InvalidArgumentError(error.message.replace(join(directory, "content"), name), {
      cause: error.cause,
      field: "inputs",
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A name is for messages and for the guess of the media type: its end is what matters. */
function shortName(name: string): string {
  return name.replace(/[/\\\u0000-\u001f\u007f]/g, "_").slice(-NAME_CHARS_MAX);
}

/** Size of a file that can be uploaded, bytes. Errors: `INVALID_ARGUMENT` naming the file. */
export async function checkFile(path: string): Promise<number> {
  let file;
  try {
    file = await open(path, "r");
  } catch (error) {
    throw refuse(path, REASONS[(error as NodeJS.ErrnoException).code ?? ""] ?? "cannot be read");
  }
  try {
    const stats = await file.stat();
    if (stats.isDirectory()) throw refuse(path, "is a directory");
    if (!stats.isFile()) throw refuse(path, "is not a regular file");
    if (stats.size === 0) throw refuse(path, "is empty");
    return stats.size;
  } finally {
    await file.close();
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist",
  EACCES: "cannot be read (permission denied)",
  EPERM: "cannot be read (permission denied)",
  EISDIR: "is a directory",
  ENXIO: "is not a regular file",
};

function refuse(path: string, reason: string): InvalidArgumentError {
  return new InvalidArgumentError(`input ${path} ${reason}, expected a media file`, {
    field: "inputs",
  });
}
