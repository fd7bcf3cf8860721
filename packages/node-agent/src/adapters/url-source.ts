/**
 * Opens an http(s) URL that a user named, without becoming a way into the host's own network.
 *
 * Owns:      redirects (by hand), the check of every hop's address, time and size limits.
 * Does not:  store anything, send credentials, use proxies or keep connections.
 *
 * Invariants:
 *   U1. A connection is made only to an address that was checked: the lookup of the connection
 *       itself does the check, so that a second, different answer of the name server is no help.
 *   U2. Each hop is checked as if it were the first. At most REDIRECT_COUNT_MAX hops follow.
 */
import type { LookupAddress } from "node:dns";
import { lookup as resolveName } from "node:dns";
import type { IncomingMessage, RequestOptions } from "node:http";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { LookupFunction } from "node:net";
import { basename } from "node:path";
import { describeError, InvalidArgumentError, isRuntimeError, RetryableError } from "@murakkab/kit";
import { tooLarge } from "../artifacts/artifact-store.ts";
import type { OpenedSource, SourceLimits } from "../ports.ts";
import { addressInHost, isPublicAddress } from "./address-guard.ts";
import { mediaTypeOf } from "./media-type.ts";

const REDIRECT_COUNT_MAX = 5;
/** Silence on the connection, ms. */
const IDLE_MS_MAX = 30_000;

export interface UrlOptions {
  readonly arePrivateUrlsAllowed: boolean;
  /** Default: the system's resolver. Tests give answers of their own. */
  readonly resolve?: typeof resolveName;
  /** Default: only public ones. Tests have no public server. */
  readonly isAllowed?: (address: string) => boolean;
}

interface Hop {
  readonly url: URL;
  readonly signal: AbortSignal;
  readonly lookup: LookupFunction;
}

export async function openUrl(
  source: string,
  limits: SourceLimits,
  options: UrlOptions,
): Promise<OpenedSource> {
  const signal = AbortSignal.timeout(Math.max(1, Math.floor(limits.remainingMs)));
  const lookup = guardedLookup(options);
  let url = parseUrl(source);
  for (let hop = 0; hop <= REDIRECT_COUNT_MAX; hop += 1) {
    checkHost(url, options);
    const response = await get({ url, signal, lookup });
    const { statusCode = 0, headers } = response;
    if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
      response.destroy();
      url = parseUrl(headers.location, url);
      continue;
    }
    if (statusCode !== 200) {
      response.destroy();
      throw refusedAnswer(url, statusCode);
    }
    return opened(url, response, limits);
  }
  throw new InvalidArgumentError(
    `URL ${shown(parseUrl(source))} redirects too often, expected at most ${REDIRECT_COUNT_MAX} redirects`,
  );
}

export function isUrl(source: string): boolean {
  return /^https?:\/\//i.test(source);
}

function parseUrl(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base?.href) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    const what = url === null ? "a location" : `the scheme ${url.protocol}`;
    throw new InvalidArgumentError(`${what} is not valid, expected an http or https URL`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new InvalidArgumentError(
      `URL ${shown(url)} carries a user name or password, expected one without`,
    );
  }
  return url;
}

/** Addresses written in the URL never reach a lookup, so they are checked here. */
function checkHost(url: URL, options: UrlOptions): void {
  const address = addressInHost(url.hostname);
  if (address !== null && !isAllowed(address, options)) {
    throw privateAddress(url.hostname);
  }
}

function isAllowed(address: string, options: UrlOptions): boolean {
  return options.arePrivateUrlsAllowed || (options.isAllowed ?? isPublicAddress)(address);
}

/** U1. */
function guardedLookup(options: UrlOptions): LookupFunction {
  const resolve = options.resolve ?? resolveName;
  return (hostname, lookupOptions, callback) => {
    resolve(hostname, { ...lookupOptions, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, "", 0);
      const [first] = addresses;
      const areAllowed = addresses.every(({ address }) => isAllowed(address, options));
      if (first === undefined || !areAllowed) return callback(privateAddress(hostname), "", 0);
      if (lookupOptions.all === true) return callback(null, addresses);
      return callback(null, first.address, first.family);
    });
  };
}

function get({ url, signal, lookup }: Hop): Promise<IncomingMessage> {
  const options: RequestOptions = {
    method: "GET",
    agent: false,
    lookup,
    signal,
    timeout: IDLE_MS_MAX,
    headers: { accept: "*/*", "accept-encoding": "identity", "user-agent": "murakkab" },
  };
  const send = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const request = send(url, options, resolve);
    request.on("timeout", () => request.destroy(new Error(`silent for ${IDLE_MS_MAX} ms`)));
    request.on("error", (cause) => reject(isRuntimeError(cause) ? cause : unreachable(url, cause)));
    request.end();
  });
}

function opened(url: URL, response: IncomingMessage, limits: SourceLimits): OpenedSource {
  const name = fileName(url);
  const announced = Number(response.headers["content-length"]);
  const bytes = Number.isSafeInteger(announced) && announced >= 0 ? announced : null;
  if (bytes !== null && bytes > limits.bytesMax) {
    response.destroy();
    throw tooLarge(shown(url), limits.bytesMax);
  }
  const declared = response.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  const isVague = declared === undefined || declared === "application/octet-stream";
  const mediaType = isVague ? mediaTypeOf(name) : declared;
  return { bytes, mediaType, name, stream: readBody(url, response, bytes) };
}

async function* readBody(
  url: URL,
  response: IncomingMessage,
  announcedBytes: number | null,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  try {
    for await (const chunk of response) {
      const piece = chunk as Uint8Array;
      bytes += piece.length;
      yield piece;
    }
  } catch (cause) {
    throw isRuntimeError(cause) ? cause : unreachable(url, cause);
  } finally {
    response.destroy();
  }
  if (announcedBytes !== null && bytes !== announcedBytes) {
    throw unreachable(url, new Error(`${bytes} bytes came, expected ${announcedBytes}`));
  }
}

function fileName(url: URL): string {
  let name = basename(url.pathname);
  try {
    name = decodeURIComponent(name);
  } catch {
    // Not meant as an encoding: taken as it stands.
  }
  return name.replace(/[^\w .()-]/g, "_").slice(0, 255) || url.hostname;
}

/** Query and credentials stay out of messages: they often hold signatures. */
function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

function privateAddress(host: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `URL host ${host} leads to a private or reserved address, expected a public one`,
  );
}

function refusedAnswer(url: URL, statusCode: number): Error {
  const message = `URL ${shown(url)} answered HTTP ${statusCode}, expected 200`;
  const isTransient = statusCode >= 500 || statusCode === 408 || statusCode === 429;
  return isTransient
    ? new RetryableError("SOURCE_UNAVAILABLE", message)
    : new InvalidArgumentError(message);
}

function unreachable(url: URL, cause: unknown): RetryableError {
  return new RetryableError(
    "SOURCE_UNAVAILABLE",
    `URL ${shown(url)} could not be read: ${describeError(cause)}`,
    { cause },
  );
}
