/**
 * One HTTP POST of known length, streamed.
 *
 * Node's own `http` and not `fetch`, because `fetch` sends a stream without its length and hides
 * the answer of a server that refuses while the body is still on its way.
 */
import type { IncomingMessage } from "node:http";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Readable } from "node:stream";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { RuntimeError } from "@murakkab/kit";
import {
  CancelledError,
  fromWireError,
  InvalidArgumentError,
  UnavailableError,
} from "@murakkab/kit";
import type { ArtifactRef } from "@murakkab/model";
import { artifactRefSchema, validate } from "@murakkab/protocol";

export interface PostOptions {
  readonly url: string;
  readonly ticket: string;
  readonly node: string;
  readonly bytes: number;
  /** What messages call the body, such as `input road_trip.mp4`. */
  readonly what: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (sentBytes: number, totalBytes: number) => void;
}

/** Why 64 KiB: an answer is one small JSON object; more is not from our server. */
const ANSWER_BYTES_MAX = 64 * 1024;
/** Why 60 s: a socket on which no byte moves for so long is dead. */
const SOCKET_IDLE_MS_MAX = 60_000;

export async function postFile(body: Readable, options: PostOptions): Promise<ArtifactRef> {
  const { url, what, node } = options;
  const send = url.startsWith("https:") ? httpsRequest : httpRequest;
  const request = send(url, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${options.ticket}`,
      "Content-Type": "application/octet-stream",
      "Content-Length": options.bytes,
    },
    timeout: SOCKET_IDLE_MS_MAX,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  request.on("timeout", () => request.destroy(new Error("no byte moved for 60 s")));
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.once("response", resolve);
    request.once("error", reject);
  });
  const sent = pipeline(body, countBytes(options), request);
  sent.catch(() => undefined); // A refusal breaks the pipe; the answer says why.
  try {
    const response = await answered;
    const text = await readText(response);
    if (response.statusCode === 200 || response.statusCode === 201) {
      await sent;
      return validate(artifactRefSchema, JSON.parse(text), `answer to the upload of ${what}`);
    }
    throw refusal(response.statusCode ?? 0, text, options);
  } catch (error) {
    if (options.signal?.aborted === true) {
      throw new CancelledError(`upload of ${what} was cancelled`, { cause: error });
    }
    if (!(error instanceof Error) || !("code" in error) || !isSocketError(error)) throw error;
    throw new UnavailableError(`upload of ${what} to node ${node} broke off, expected an answer`, {
      cause: error,
    });
  } finally {
    body.destroy();
    request.destroy();
  }
}

function countBytes({ bytes, what, onProgress }: PostOptions): Transform {
  let sentBytes = 0;
  const changed = (): Error =>
    new InvalidArgumentError(`${what} changed while it was uploaded, expected ${bytes} bytes`, {
      field: "inputs",
    });
  return new Transform({
    transform(piece: Uint8Array, _encoding, done) {
      sentBytes += piece.length;
      if (sentBytes > bytes) return done(changed());
      onProgress?.(sentBytes, bytes);
      done(null, piece);
    },
    flush: (done) => done(sentBytes < bytes ? changed() : null),
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > ANSWER_BYTES_MAX) break;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** Our servers answer `{ error }`; a proxy in between may answer anything. */
function refusal(status: number, text: string, { what, node }: PostOptions): RuntimeError {
  try {
    const { error } = JSON.parse(text) as { error?: Parameters<typeof fromWireError>[0] };
    if (typeof error?.message === "string" && typeof error.code === "string") {
      return fromWireError({ ...error, message: `${what} was refused: ${error.message}` });
    }
  } catch {
    // Not JSON: the status has to do.
  }
  return new UnavailableError(
    `upload of ${what} to node ${node} was answered with HTTP status ${status}, expected 200`,
  );
}

function isSocketError(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === "string" && /^(?:E[A-Z]+|ERR_STREAM|ABORT_ERR|UND_)/.test(code);
}
