/**
 * Which bus a client talks to.
 *
 * Owns:      the order option, `NATS_URL`, current-cluster file, default.
 * Does not:  connect, or check that somebody listens there.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import { readCurrentCluster } from "./current-cluster.ts";

export const DEFAULT_NATS_URL = "nats://127.0.0.1:4222";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface NatsSetting {
  readonly url: string;
  readonly source: "option" | "NATS_URL" | "current cluster" | "default";
}

/** Errors: `INVALID_ARGUMENT` when a given URL is no NATS URL. */
export async function resolveNats(
  option: string | undefined,
  env: Environment,
): Promise<NatsSetting> {
  if (option !== undefined) return { url: checkNatsUrl(option, "nats"), source: "option" };
  const fromEnv = env["NATS_URL"];
  if (fromEnv !== undefined && fromEnv !== "") {
    return { url: checkNatsUrl(fromEnv, "NATS_URL"), source: "NATS_URL" };
  }
  const current = await readCurrentCluster(env);
  if (current !== null) return { url: current.natsUrl, source: "current cluster" };
  return { url: DEFAULT_NATS_URL, source: "default" };
}

const NATS_URL_PATTERN = /^(?:(?:nats|tls):\/\/)?[^\s/?#]+$/;

function checkNatsUrl(url: string, field: string): string {
  const servers = url.split(",").map((server) => server.trim().replace(/\/$/, ""));
  if (servers.some((server) => !NATS_URL_PATTERN.test(server))) {
    throw new InvalidArgumentError(
      `${field} "${redactUrl(url)}" is not valid, expected a URL such as ${DEFAULT_NATS_URL}`,
      { field },
    );
  }
  return servers.join(",");
}

/** The URL without user, password or token, for messages and logs. */
export function redactUrl(url: string): string {
  return url.replace(/[^\s,/@]+@/g, "***@");
}
