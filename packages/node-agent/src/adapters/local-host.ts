/** This host: its identity, its programs. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { cpus, hostname, networkInterfaces, totalmem, uptime } from "node:os";
import type { HostIdentity } from "@murakkab/model";
import type { HostPort } from "../ports.ts";
import { findProgram, KNOWN_PROGRAMS, listPrograms } from "./programs.ts";

export interface LocalHostOptions {
  /** The PATH that workers get. */
  readonly path: string;
  readonly extraPrograms: readonly string[];
  readonly wallMs: () => number;
}

export class LocalHost implements HostPort {
  readonly #options: LocalHostOptions;
  readonly #identity: HostIdentity;

  constructor(options: LocalHostOptions) {
    this.#options = options;
    this.#identity = {
      machineId: machineId(),
      bootId: bootId(options.wallMs()),
      hostname: hostname(),
      cores: cpus().length,
      memoryBytes: totalmem(),
      ...hostKind(cpus()[0]?.model),
    };
  }

  identity(): HostIdentity {
    return this.#identity;
  }

  programs(more: readonly string[]): Promise<Readonly<Record<string, string>>> {
    const { extraPrograms } = this.#options;
    const names = new Set([...Object.keys(KNOWN_PROGRAMS), ...extraPrograms, ...more]);
    return listPrograms([...names], this.#options.path);
  }

  async hasProgram(name: string): Promise<boolean> {
    return (await findProgram(name, this.#options.path)) !== null;
  }
}

/** The processor's name, where the system tells one: Arm kernels often do not. */
export function hostKind(model: string | undefined): { readonly kind?: string } {
  const kind = (model ?? "").replaceAll(/\s+/g, " ").trim();
  return kind === "" || kind.toLowerCase() === "unknown" ? {} : { kind };
}

/** Hashed: the machine id itself is meant to stay on its machine (machine-id(5)). */
function machineId(): string {
  const id = readTrimmed("/etc/machine-id") ?? readTrimmed("/var/lib/dbus/machine-id");
  const addresses = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .map((one) => one.mac)
    .filter((mac) => mac !== "00:00:00:00:00:00");
  const fallback = [hostname(), ...[...new Set(addresses)].sort()].join(",");
  return createHash("sha256")
    .update(`murakkab:${id ?? fallback}`)
    .digest("hex")
    .slice(0, 32);
}

/** Where the kernel gives none: the minute of the boot, which survives small clock steps. */
function bootId(wallMs: number): string {
  const bootMinute = Math.round((wallMs / 1_000 - uptime()) / 60);
  return readTrimmed("/proc/sys/kernel/random/boot_id") ?? `boot-${bootMinute}`;
}

function readTrimmed(path: string): string | null {
  try {
    const text = readFileSync(path, "utf8").trim();
    return text === "" ? null : text;
  } catch {
    return null;
  }
}
