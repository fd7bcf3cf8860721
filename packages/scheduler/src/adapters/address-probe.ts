/** One request to an agent's health page before its address is given to others. */
import { RetryableError } from "@murakkab/kit";
import type { AddressProbe } from "../ports.ts";

/** A health page on a reachable host answers in milliseconds. */
const PROBE_TIMEOUT_MS = 3_000;

export function httpAddressProbe(): AddressProbe {
  return {
    check: async ({ node, url }) => {
      let reason = "";
      try {
        const page = await fetch(new URL("/healthz", url), {
          signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
          redirect: "error",
        });
        await page.body?.cancel();
        if (page.ok) return;
        reason = `it answers ${page.status}`;
      } catch (error) {
        reason =
          error instanceof Error && error.name === "TimeoutError" ? "no answer" : "no connection";
      }
      throw new RetryableError(
        "ADDRESS_UNREACHABLE",
        `node ${node} advertises ${url}, which the scheduler can't reach (${reason}), expected its artifact server there (--advertise HOST:PORT)`,
        { field: "artifactUrl", retryAfterMs: 1_000 },
      );
    },
  };
}
