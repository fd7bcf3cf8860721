/** Uploads to an agent's artifact server with the cluster's token. */
import { InvalidArgumentError, RetryableError } from "@murakkab/kit";
import { isArtifactRef } from "@murakkab/model";
import type { ArtifactUplink } from "../ports.ts";

const UPLOAD_TIMEOUT_MS = 30_000;

export function httpArtifactUplink(token: string): ArtifactUplink {
  return {
    put: async (holder, { jobId, data, mediaType }) => {
      const url = new URL("/artifacts", holder.url);
      url.searchParams.set("job", jobId);
      let response: Response;
      try {
        response = await fetch(url, {
          method: "POST",
          headers: { authorization: `Bearer ${token}`, "content-type": mediaType },
          body: data,
          signal: AbortSignal.timeout(UPLOAD_TIMEOUT_MS),
        });
      } catch (cause) {
        throw new RetryableError(
          "UPLOAD_FAILED",
          `node ${holder.node} did not take ${data.length} bytes at ${holder.url}`,
          { cause },
        );
      }
      const body: unknown = await response.json().catch(() => null);
      if (response.ok && isArtifactRef(body)) return { ...body, mediaType };
      const message = `node ${holder.node} answered ${response.status} to an upload of ${data.length} bytes`;
      if (response.status >= 500) throw new RetryableError("UPLOAD_FAILED", message);
      throw new InvalidArgumentError(message);
    },
  };
}
