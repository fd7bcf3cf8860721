/** How an application gets a client. */
import type { Bus } from "@murakkab/bus";
import { connectNats } from "@murakkab/bus/nats";
import { UnavailableError } from "@murakkab/kit";
import { Client } from "./client.ts";
import type { Environment } from "./settings.ts";
import { redactUrl, resolveNats } from "./settings.ts";

export interface ConnectOptions {
  /** NATS URL. Default: `NATS_URL`, the cluster of `murakkab up`, nats://127.0.0.1:4222. */
  readonly nats?: string;
  /** Name of the connection in the server's monitoring. Default `murakkab-sdk`. */
  readonly name?: string;
  /** How long connecting is tried, ms. Default 2000. */
  readonly connectTimeoutMs?: number;
  /** A bus that is there already. The client closes it. */
  readonly bus?: Bus;
  /** Where settings are read from. Default `process.env`. */
  readonly env?: Environment;
}

/** Why 2 s: a person waits; a server on the other side of the world greets well within it. */
const CONNECT_TIMEOUT_MS_DEFAULT = 2_000;

/** Errors: `UNAVAILABLE` naming the address (without credentials) when the bus is not reachable. */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  if (options.bus !== undefined) return new Client(options.bus, options.bus.description);
  const env = options.env ?? process.env;
  const { url, source } = await resolveNats(options.nats, env);
  try {
    const bus = await connectNats({
      servers: url,
      ...credentials(env),
      name: options.name ?? "murakkab-sdk",
      // Nobody said that there is a bus at the default address: one attempt shows it.
      waitForConnectMs:
        options.connectTimeoutMs ?? (source === "default" ? 0 : CONNECT_TIMEOUT_MS_DEFAULT),
    });
    return new Client(bus, redactUrl(url));
  } catch (error) {
    if (!(error instanceof UnavailableError) || source !== "default") throw error;
    // Without the cause: that nobody listens at an address that nobody named says nothing more.
    throw new UnavailableError(
      `no cluster is running here (nothing at ${url}), expected one: start it with "murakkab up", or set NATS_URL`,
    );
  }
}

/** The same variables that the cluster's own processes read. */
function credentials(env: Environment): Credentials {
  const found = {
    user: env["NATS_USER"],
    password: env["NATS_PASSWORD"],
    token: env["NATS_TOKEN"],
    credsFile: env["NATS_CREDS"],
  };
  const given = Object.entries(found).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(given) as Credentials;
}

interface Credentials {
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  readonly credsFile?: string;
}
