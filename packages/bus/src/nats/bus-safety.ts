/** Which bus a process of a cluster may use without being told that it is meant. */
import { InvalidArgumentError } from "@murakkab/kit";

/**
 * Whoever reaches a bus without credentials can run programs on the fleet. `servers` is one
 * address or several, comma-separated. Errors: `INVALID_ARGUMENT` naming the host.
 */
export function checkBusIsSafe(servers: string, hasCredentials: boolean): void {
  if (hasCredentials) return;
  for (const part of servers.split(",")) {
    const text = part.trim();
    const url = new URL(text.includes("://") ? text : `nats://${text}`);
    if (isLoopback(url.hostname) || url.username !== "") continue;
    throw new InvalidArgumentError(
      `the bus at ${url.host} is not on this host and no credentials are given, ` +
        "expected NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_CREDS, or --insecure",
    );
  }
}

export function isLoopback(hostname: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(hostname);
}
