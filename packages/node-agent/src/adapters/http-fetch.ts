/**
 * Fetches an artifact from another node's artifact server, with the cluster token.
 *
 * The address comes from the scheduler, not from a user, so private addresses are expected here.
 */
import type { IncomingMessage } from "node:http";
import { request } from "node:http";
import { describeError, isRuntimeError, NotFoundError, RetryableError } from "@murakkab/kit";
import type { ArtifactHolder } from "@murakkab/model";
import type { FetchPort } from "../ports.ts";

/** Silence on the connection, connecting included, ms: a holder that is lost is noticed soon. */
const IDLE_MS_MAX = 10_000;

export class HttpFetch implements FetchPort {
  readonly #token: string;

  constructor(options: { readonly token: string }) {
    this.#token = options.token;
  }

  async fetch(
    holder: ArtifactHolder,
    hash: string,
    remainingMs: number,
  ): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#get(holder, hash, remainingMs);
    if (response.statusCode === 200) return readBody(holder, response);
    response.destroy();
    if (response.statusCode === 404) {
      throw new NotFoundError(`node ${holder.node} no longer has artifact ${hash}`);
    }
    const reason = new Error(`HTTP ${response.statusCode}, expected 200`);
    throw fetchFailed(holder, reason, "FETCH_REFUSED");
  }

  #get(holder: ArtifactHolder, hash: string, remainingMs: number): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown): void => reject(fetchFailed(holder, cause));
      const url = `${holder.url.replace(/\/$/, "")}/artifacts/${hash}`;
      if (!URL.canParse(url) || new URL(url).protocol !== "http:") {
        fail(new Error("its address is not valid, expected http://host:port"));
        return;
      }
      const outgoing = request(
        url,
        {
          agent: false,
          timeout: IDLE_MS_MAX,
          signal: AbortSignal.timeout(Math.max(1, Math.floor(remainingMs))),
          headers: { authorization: `Bearer ${this.#token}` },
        },
        resolve,
      );
      outgoing.on("timeout", () => outgoing.destroy(new Error(`silent for ${IDLE_MS_MAX} ms`)));
      outgoing.on("error", fail);
      outgoing.end();
    });
  }
}

async function* readBody(
  holder: ArtifactHolder,
  response: IncomingMessage,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) yield chunk as Uint8Array;
  } catch (cause) {
    throw isRuntimeError(cause) ? cause : fetchFailed(holder, cause);
  } finally {
    response.destroy();
  }
}

function fetchFailed(
  holder: ArtifactHolder,
  cause: unknown,
  code: "FETCH_FAILED" | "FETCH_REFUSED" = "FETCH_FAILED",
): RetryableError {
  return new RetryableError(
    code,
    `artifact server of node ${holder.node} did not serve it: ${describeError(cause)}`,
    { cause, context: { node: holder.node } },
  );
}
