/** The agent's flags and environment, checked. Reads no file and no environment by itself. */
import { parseArgs } from "node:util";
import { checkBusIsSafe } from "@murakkab/bus/nats";
import { InvalidArgumentError } from "@murakkab/kit";
import type { WorkerSpec } from "@murakkab/protocol";
import { isSubjectToken, ORPHAN_LIMIT_MS_DEFAULT } from "@murakkab/protocol";

export interface AgentSettings {
  readonly node: string;
  readonly cpus: number;
  readonly memoryMib: number;
  readonly dataDir: string;
  readonly tokenFile: string;
  readonly bus: WorkerSpec["bus"];
  readonly listen: HostPort;
  readonly advertise: HostPort | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly inputRoots: readonly string[];
  readonly extraPrograms: readonly string[];
  readonly artifactLimitMib: number;
  readonly arePrivateUrlsAllowed: boolean;
  readonly connectTimeoutMs: number;
  readonly orphanLimitMs: number;
  readonly spoolLimitMib: number;
  readonly logLevel: string;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface HostDefaults {
  readonly hostname: string;
  readonly cores: number;
  readonly memoryBytes: number;
}

/** Room for the operating system and this agent where no offer is given. */
const OFFERED_MEMORY_RATIO_DEFAULT = 0.8;
const ARTIFACT_LIMIT_MIB_DEFAULT = 10_240;
const CONNECT_TIMEOUT_SEC_DEFAULT = 10;
const ORPHAN_LIMIT_SEC_DEFAULT = ORPHAN_LIMIT_MS_DEFAULT / 1_000;
/** A few hundred results of the largest kind, thousands of usual ones. */
const SPOOL_LIMIT_MIB_DEFAULT = 64;
const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

export const USAGE = `usage: murakkab node [flags]
  --nats URL               bus, default $NATS_URL or nats://127.0.0.1:4222
  --node NAME              name in the fleet, default the host name
  --cpus N                 cores offered, default all
  --memory MIB             memory offered, default 80 % of the host's
  --data DIR               artifacts and scratch files, default ./.murakkab/<node>
  --token-file FILE        cluster token, default $MURAKKAB_TOKEN_FILE
  --artifact-listen H:P    artifact server, default 127.0.0.1:0
  --advertise H:P          its address for other nodes, default where it listens
  --artifact-limit-mib N   size of the artifact store, default ${ARTIFACT_LIMIT_MIB_DEFAULT}
  --spool-limit MIB        results kept while the bus is away, default ${SPOOL_LIMIT_MIB_DEFAULT}
  --orphan-limit SEC       a worker with neither agent nor bus ends itself, default ${ORPHAN_LIMIT_SEC_DEFAULT}
  --labels KEY=VALUE       label that jobs may ask for (repeatable)
  --input-root DIR         jobs may name files below it (repeatable), default none
  --program NAME           further program to look for on PATH (repeatable)
  --connect-timeout SEC    wait for the bus, default ${CONNECT_TIMEOUT_SEC_DEFAULT}
  --allow-private-urls     inputs may be URLs of private networks
  --insecure               a bus on another host may be without credentials
  --log-level LEVEL        ${LOG_LEVELS.join(", ")}; default info
  --help`;

type Environment = Readonly<Record<string, string | undefined>>;

/** Errors: `INVALID_ARGUMENT` naming flag, value and expectation. `"help"` when it is asked for. */
export function readSettings(
  argv: readonly string[],
  env: Environment,
  defaults: HostDefaults,
): AgentSettings | "help" {
  const flags = parseFlags(argv);
  if (flags.help === true) return "help";
  const node = nodeName(flags.node, defaults.hostname);
  const bus = busSettings(flags.nats ?? env["NATS_URL"] ?? "nats://127.0.0.1:4222", env);
  if (flags.insecure !== true) {
    checkBusIsSafe(bus.servers, (bus.user ?? bus.token ?? bus.credsFile) !== undefined);
  }
  const tokenFile = flags["token-file"] ?? env["MURAKKAB_TOKEN_FILE"];
  if (tokenFile === undefined) {
    throw new InvalidArgumentError(
      "--token-file is missing, expected the file that holds the cluster token",
    );
  }
  const offeredMib = Math.floor((defaults.memoryBytes * OFFERED_MEMORY_RATIO_DEFAULT) / 1_048_576);
  const level = flags["log-level"] ?? "info";
  if (!LOG_LEVELS.includes(level)) throw invalid("log-level", level, LOG_LEVELS.join(", "));
  return {
    node,
    cpus: positive("cpus", flags.cpus, defaults.cores),
    memoryMib: positive("memory", flags.memory, offeredMib),
    dataDir: flags.data ?? `.murakkab/${node}`,
    tokenFile,
    bus,
    listen: hostPort("artifact-listen", flags["artifact-listen"] ?? "127.0.0.1:0"),
    advertise:
      flags.advertise === undefined ? null : advertised(hostPort("advertise", flags.advertise)),
    labels: Object.fromEntries((flags.labels ?? []).flatMap((text) => labelsIn(text))),
    inputRoots: flags["input-root"] ?? [],
    extraPrograms: flags.program ?? [],
    artifactLimitMib: positive(
      "artifact-limit-mib",
      flags["artifact-limit-mib"],
      ARTIFACT_LIMIT_MIB_DEFAULT,
    ),
    arePrivateUrlsAllowed: flags["allow-private-urls"] === true,
    connectTimeoutMs:
      1_000 * positive("connect-timeout", flags["connect-timeout"], CONNECT_TIMEOUT_SEC_DEFAULT),
    orphanLimitMs:
      1_000 * positive("orphan-limit", flags["orphan-limit"], ORPHAN_LIMIT_SEC_DEFAULT),
    spoolLimitMib: positive("spool-limit", flags["spool-limit"], SPOOL_LIMIT_MIB_DEFAULT),
    logLevel: level,
  };
}

function parseFlags(argv: readonly string[]) {
  const text = { type: "string" } as const;
  const list = { type: "string", multiple: true } as const;
  const flag = { type: "boolean" } as const;
  try {
    return parseArgs({
      args: [...argv],
      options: {
        nats: text,
        node: text,
        cpus: text,
        memory: text,
        data: text,
        "token-file": text,
        advertise: text,
        "artifact-listen": text,
        labels: list,
        "input-root": list,
        program: list,
        "artifact-limit-mib": text,
        "connect-timeout": text,
        "orphan-limit": text,
        "spool-limit": text,
        insecure: flag,
        "allow-private-urls": flag,
        "log-level": text,
        help: flag,
      },
    }).values;
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split(". ")[0] ?? "") : String(cause);
    throw new InvalidArgumentError(`${reason}, expected the flags that --help lists`, { cause });
  }
}

/** A host's full name has dots, which a subject token may not have. */
function nodeName(given: string | undefined, hostname: string): string {
  if (given === undefined) {
    const name = hostname.replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^-+|-+$/g, "");
    return name.slice(0, 128) || "node";
  }
  if (isSubjectToken(given)) return given;
  throw invalid("node", given, '1 to 128 letters, digits, "-" or "_"');
}

/** Credentials leave the URL here, so that whatever shows the address shows none. */
function busSettings(nats: string, env: Environment): WorkerSpec["bus"] {
  let user = env["NATS_USER"];
  let password = env["NATS_PASSWORD"];
  let token = env["NATS_TOKEN"];
  const servers = nats.split(",").map((part) => {
    const text = part.trim().includes("://") ? part.trim() : `nats://${part.trim()}`;
    if (!URL.canParse(text)) {
      throw new InvalidArgumentError("--nats is not a valid address, expected nats://host:port");
    }
    const url = new URL(text);
    if (url.password !== "") {
      user ??= decodeURIComponent(url.username);
      password ??= decodeURIComponent(url.password);
    } else if (url.username !== "") token ??= decodeURIComponent(url.username);
    return `${url.protocol}//${url.host}`;
  });
  const credsFile = env["NATS_CREDS"];
  return {
    servers: servers.join(","),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(token === undefined ? {} : { token }),
    ...(credsFile === undefined ? {} : { credsFile }),
  };
}

function positive(flag: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw invalid(flag, text, "a number above 0");
}

function hostPort(flag: string, text: string): HostPort {
  const match = /^(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port > 65_535) {
    throw invalid(flag, text, "HOST:PORT such as 10.0.0.5:7420");
  }
  return { host: match[1].replace(/^\[|\]$/g, ""), port };
}

function advertised(address: HostPort): HostPort {
  if (address.port > 0) return address;
  throw invalid("advertise", `${address.host}:0`, "a port above 0");
}

function labelsIn(text: string): [string, string][] {
  return text.split(",").map((one) => {
    const match = /^([A-Za-z0-9_./-]{1,128})=(.{0,256})$/.exec(one);
    if (match?.[1] === undefined) throw invalid("labels", one, "KEY=VALUE");
    return [match[1], match[2] ?? ""];
  });
}

function invalid(flag: string, value: string, expected: string): InvalidArgumentError {
  return new InvalidArgumentError(`--${flag} is "${value}", expected ${expected}`);
}
