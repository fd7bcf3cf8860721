/**
 * An artifact into a local file.
 *
 * Owns:      the ticket, the transfer, the check against the hash.
 *
 * Invariants:
 *   D1. The file appears under its name only when all of it is there and has the artifact's hash.
 */

import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Messaging } from "@murakkab/bus";
import { InvalidArgumentError, RetryableError, UnavailableError } from "@murakkab/kit";
import { type ArtifactRef, artifactHash } from "@murakkab/model";
import { downloadReplySchema, subjects } from "@murakkab/protocol";
import { callUntilAnswered, TICKET_POLICY } from "./call-until-answered.ts";

/** Errors: `NOT_FOUND`, `UNAVAILABLE` naming node, `INVALID_ARGUMENT` for a path that can't be written. */
export async function downloadFile(
  messaging: Messaging,
  { artifact, path }: { readonly artifact: string; readonly path: string },
): Promise<ArtifactRef> {
  const hash = artifactHash(artifact);
  const request = {
    subject: subjects.artifactDownload,
    value: { artifact },
    schema: downloadReplySchema,
  };
  const reply = await callUntilAnswered(messaging, request, { policy: TICKET_POLICY });
  const partial = `${path}.partial-${process.pid}`;
  try {
    const body = await openBody(reply);
    const actual = await writeHashed(body, partial);
    if (actual !== hash) {
      throw new RetryableError(
        "HASH_MISMATCH",
        `node ${reply.node} sent other bytes than ${artifact}`,
      );
    }
    await rename(partial, path);
    return reply.artifact;
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

async function openBody(reply: { url: string; ticket: string; node: string }): Promise<Readable> {
  const headers = { authorization: `Bearer ${reply.ticket}` };
  const response = await fetch(reply.url, { headers, redirect: "error" }).catch(
    (cause: unknown) => {
      throw new UnavailableError(`node ${reply.node} can't be reached for the download`, { cause });
    },
  );
  if (response.ok && response.body !== null) return Readable.fromWeb(response.body);
  throw new UnavailableError(
    `node ${reply.node} answered the download with HTTP status ${response.status}, expected 200`,
  );
}

async function writeHashed(body: Readable, path: string): Promise<string> {
  const hash = createHash("sha256");
  const count = new Transform({
    transform(piece: Uint8Array, _encoding, done) {
      hash.update(piece);
      done(null, piece);
    },
  });
  try {
    await pipeline(body, count, createWriteStream(path, { flags: "wx" }));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "EACCES" && code !== "EISDIR") throw error;
    throw new InvalidArgumentError(`file ${path} can't be written, expected a writable directory`, {
      cause: error,
    });
  }
  return hash.digest("hex");
}
