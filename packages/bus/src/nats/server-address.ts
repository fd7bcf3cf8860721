/**
 * Addresses of NATS servers, with credentials taken out so that no message or log repeats them.
 */
import { InvalidArgumentError } from "@murakkab/kit";

const DEFAULT_PORT = "4222";
const PROTOCOLS = ["nats:", "tls:"];

export interface ServerAddresses {
  /** `host:port` each, for the client library. */
  readonly hostPorts: readonly string[];
  /** For people: `nats://host:port`, comma-separated. */
  readonly display: string;
  readonly isTls: boolean;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
}

/**
 * `text` is one URL or several, comma-separated; `nats://` may be missing. User and password (or
 * a token alone) may stand in the first URL. Errors: `INVALID_ARGUMENT`, without credentials.
 */
export function parseServerAddresses(text: string): ServerAddresses {
  const parts = text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  const urls = parts.map((part, index) => parseUrl(part, index));
  const first = urls[0];
  if (first === undefined) {
    throw new InvalidArgumentError("no NATS server is named, expected nats://host:port", {
      field: "servers",
    });
  }
  const isTls = first.protocol === "tls:";
  const hostPorts = urls.map((url) => `${url.hostname}:${url.port || DEFAULT_PORT}`);
  return {
    hostPorts,
    display: hostPorts.map((hostPort) => `${isTls ? "tls" : "nats"}://${hostPort}`).join(","),
    isTls,
    ...credentialsOf(first),
  };
}

function parseUrl(part: string, index: number): URL {
  const withProtocol = part.includes("://") ? part : `nats://${part}`;
  const url = URL.canParse(withProtocol) ? new URL(withProtocol) : null;
  if (url !== null && url.hostname !== "" && PROTOCOLS.includes(url.protocol)) return url;
  // The text itself stays out: it may hold a password.
  throw new InvalidArgumentError(
    `NATS server ${index + 1} is not a valid address, expected nats://host:port or tls://host:port`,
    { field: "servers" },
  );
}

function credentialsOf(url: URL): Pick<ServerAddresses, "user" | "password" | "token"> {
  const name = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  if (name === "") return {};
  return password === "" ? { token: name } : { user: name, password };
}
