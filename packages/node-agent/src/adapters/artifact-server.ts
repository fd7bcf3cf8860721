/**
 * The HTTP door of a node's artifact store.
 *
 *   GET  /healthz           anyone
 *   GET  /artifacts/<hex>   cluster token or download ticket; one byte range is honoured
 *   POST /artifacts?name=   cluster token or upload ticket; answers 201 and an ArtifactRef.
 *                           With the token `&job=<id>` pins for that job instead of as an upload
 *
 * Owns:      authorization, HTTP limits, the mapping of errors to status codes.
 * Does not:  store, evict or hash (artifacts/artifact-store.ts).
 *
 * Invariants:
 *   H1. Without a valid token or ticket nothing of the store is told, not even what it holds.
 *   H2. A body over the limit is refused by its announced length, or cut off where it passes it.
 */
import { createReadStream } from "node:fs";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import type { Logger } from "@murakkab/kit";
import {
  describeError,
  InvalidArgumentError,
  isRuntimeError,
  NotFoundError,
  TerminalError,
  toWireError,
} from "@murakkab/kit";
import type { TicketPurpose } from "@murakkab/protocol";
import {
  checkTicket,
  isEqualSecret,
  JOB_PIN_MS,
  subjectToken,
  UPLOAD_PIN_MS,
} from "@murakkab/protocol";
import type { ArtifactStore } from "../artifacts/artifact-store.ts";
import { tooLarge } from "../artifacts/artifact-store.ts";
import { UPLOAD_JOB } from "../artifacts/pins.ts";
import { parseRange } from "./byte-range.ts";
import { mediaTypeOf } from "./media-type.ts";

/** Open connections; more are closed at once. Far above what one fleet's fetches need. */
const CONNECTION_COUNT_MAX = 512;
/** A client must send its headers within this, ms. */
const HEADERS_MS_MAX = 10_000;
/** Silence on a connection, ms. */
const IDLE_MS_MAX = 30_000;
/** One whole request, ms: 10 GiB at 100 Mbit/s is 15 minutes. */
const REQUEST_MS_MAX = 30 * 60_000;
const NAME_CHARS_MAX = 255;

const STATUS_CODES: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  UNAUTHORIZED: 401,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  ARTIFACT_TOO_LARGE: 413,
  OVERLOADED: 503,
  STORE_FULL: 507,
};

export interface ArtifactServerOptions {
  readonly host: string;
  readonly port: number;
  readonly token: string;
  readonly wallMs: () => number;
}

export interface ArtifactServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

export async function startArtifactServer(
  components: { readonly store: ArtifactStore; readonly log: Logger },
  options: ArtifactServerOptions,
): Promise<ArtifactServer> {
  const server = createServer(
    { headersTimeout: HEADERS_MS_MAX, requestTimeout: REQUEST_MS_MAX },
    (request, response) => void answer(request, response, { ...components, ...options }),
  );
  server.maxConnections = CONNECTION_COUNT_MAX;
  server.timeout = IDLE_MS_MAX;
  await listen(server, options);
  const { address, port } = server.address() as AddressInfo;
  return {
    host: address,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type Door = ArtifactServerOptions & { readonly store: ArtifactStore; readonly log: Logger };

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  door: Door,
): Promise<void> {
  try {
    await route(request, response, door);
  } catch (error) {
    if (!isRuntimeError(error) && !isDisconnect(error)) {
      door.log.error({ event: "artifact-server.failed", err: error }, "request failed by a defect");
    }
    if (response.headersSent) {
      response.destroy(); // the client must not take half a file for a whole one
      return;
    }
    const { code } = toWireError(error);
    // A body that was not read would be taken for the next request.
    response.setHeader("connection", "close");
    if (code === "UNAUTHORIZED") response.setHeader("www-authenticate", "Bearer");
    sendJson(response, STATUS_CODES[code] ?? 500, { error: toWireError(error) });
  }
}

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  door: Door,
): Promise<void> {
  const { pathname, searchParams } = parseTarget(request.url);
  const isRead = request.method === "GET" || request.method === "HEAD";
  if (pathname === "/healthz" && isRead) return sendJson(response, 200, { ok: true });
  if (pathname === "/artifacts") {
    const proof = authorize(request, "upload", door);
    if (request.method !== "POST") throw wrongMethod(request, "POST");
    const job = proof === "token" ? searchParams.get("job") : null;
    return upload(request, response, { door, name: searchParams.get("name"), job });
  }
  const hash = /^\/artifacts\/([0-9a-f]{64})$/.exec(pathname)?.[1];
  authorize(request, "download", door); // H1: before the answer depends on what is here
  if (hash === undefined) throw new NotFoundError("no such resource, expected /artifacts/<sha256>");
  if (!isRead) throw wrongMethod(request, "GET");
  return download(request, response, { door, hash });
}

function authorize(
  request: IncomingMessage,
  purpose: TicketPurpose,
  door: Door,
): "token" | "ticket" {
  const given = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(request.headers.authorization ?? "")?.[1];
  if (given !== undefined) {
    if (isEqualSecret(given, door.token)) return "token";
    const ticket = { token: door.token, purpose, ticket: given, nowWallMs: door.wallMs() };
    const outcome = checkTicket(ticket);
    if (outcome === "valid") return "ticket";
    if (outcome === "expired") throw unauthorized(`the ${purpose} ticket has expired`);
  }
  throw unauthorized(`this needs the cluster token or a valid ${purpose} ticket as bearer`);
}

async function download(
  request: IncomingMessage,
  response: ServerResponse,
  { door, hash }: { readonly door: Door; readonly hash: string },
): Promise<void> {
  const found = await door.store.read(hash);
  if (found === null) throw new NotFoundError(`artifact ${hash} is not on this node`);
  const { bytes, mediaType } = found.ref;
  const range = parseRange(request.headers.range, bytes);
  if (range === "unsatisfiable") {
    response.writeHead(416, { "content-range": `bytes */${bytes}` }).end();
    return;
  }
  const [start, end] = range ?? [0, bytes - 1];
  response.writeHead(range === null ? 200 : 206, {
    "content-type": mediaType,
    "content-length": end - start + 1,
    "accept-ranges": "bytes",
    etag: `"${hash}"`,
    // What users upload must never run as a page of this address.
    "content-disposition": "attachment",
    "x-content-type-options": "nosniff",
    ...(range === null ? {} : { "content-range": `bytes ${start}-${end}/${bytes}` }),
  });
  if (request.method === "HEAD" || bytes === 0) {
    response.end();
    return;
  }
  await pipeline(createReadStream(found.path, { start, end }), response);
}

async function upload(
  request: IncomingMessage,
  response: ServerResponse,
  options: { readonly door: Door; readonly name: string | null; readonly job: string | null },
): Promise<void> {
  const { door, job } = options;
  const { store, log } = door;
  const fileName = checkName(options.name);
  const what = fileName ?? "the upload";
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > store.limitBytes) throw tooLarge(what, store.limitBytes); // H2
  const declared = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  const isVague =
    declared === undefined ||
    declared === "application/octet-stream" ||
    declared === "application/x-www-form-urlencoded"; // what curl says when told nothing
  const artifact = await store.put(request, {
    jobId: job === null ? UPLOAD_JOB : subjectToken(job, "job"),
    holdMs: job === null ? UPLOAD_PIN_MS : JOB_PIN_MS,
    mediaType: isVague ? mediaTypeOf(fileName ?? "") : declared,
    ...(fileName === undefined ? {} : { name: fileName }),
    what,
  });
  log.debug({ event: "artifact.uploaded", artifact: artifact.artifact }, "artifact uploaded");
  sendJson(response, 201, artifact);
}

function checkName(name: string | null): string | undefined {
  if (name === null || name === "") return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  if (name.length > NAME_CHARS_MAX || /[/\\\x00-\x1f\x7f]/.test(name)) {
    throw new InvalidArgumentError(
      `name is not valid, expected at most ${NAME_CHARS_MAX} characters and no path`,
      { field: "name" },
    );
  }
  return name;
}

function parseTarget(target: string | undefined): URL {
  const text = `http://store${target ?? "/"}`;
  if (!URL.canParse(text)) throw new InvalidArgumentError("request target is not a valid path");
  return new URL(text);
}

function listen(server: Server, { host, port }: ArtifactServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      reject(
        new TerminalError(
          "LISTEN_FAILED",
          `artifact server cannot listen on ${host}:${port}: ${describeError(cause)}`,
          { cause },
        ),
      );
    });
    server.listen({ host, port }, resolve);
  });
}

function isDisconnect(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return ["ECONNRESET", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE", "ABORT_ERR"].includes(String(code));
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json" });
  response.end(body);
}

function unauthorized(message: string): TerminalError {
  return new TerminalError("UNAUTHORIZED", message);
}

function wrongMethod(request: IncomingMessage, expected: string): TerminalError {
  return new TerminalError(
    "METHOD_NOT_ALLOWED",
    `method ${request.method} is not for this address, expected ${expected}`,
  );
}
