/** How the processes of a cluster on this host are started: arguments and environment. */
import type { NodeOffer } from "@murakkab/model";
import { redactUrl } from "@murakkab/sdk";
import type { ChildSpec } from "./child.ts";
import type { DataDir } from "./data-dir.ts";
import { NODE_FLAGS } from "./process-paths.ts";

export interface ProcessSpec {
  readonly name: string;
  /** Path of its main file. */
  readonly program: string;
  readonly readyEvent: string;
  /** Flags of Node itself. */
  readonly nodeFlags: readonly string[];
  readonly args: readonly string[];
}

export interface ProcessSurroundings {
  readonly natsUrl: string;
  readonly dataDir: DataDir;
  readonly isInsecure: boolean;
  readonly env: NodeJS.ProcessEnv;
}

export function schedulerSpec(
  name: string,
  { program, libraries }: { readonly program: string; readonly libraries: readonly string[] },
): ProcessSpec {
  const args = libraries.flatMap((dir) => ["--library", dir]);
  const nodeFlags = NODE_FLAGS.scheduler;
  return { name, program, nodeFlags, readyEvent: "scheduler.ready", args };
}

export function agentSpec(
  name: string,
  {
    program,
    share,
    data,
    inputRoot,
  }: {
    readonly program: string;
    readonly share: NodeOffer;
    readonly data: string;
    readonly inputRoot: string;
  },
): ProcessSpec {
  const offer = ["--cpus", `${share.cpus}`, "--memory", `${share.memoryMib}`];
  const args = ["--node", name, ...offer, "--data", data, "--input-root", inputRoot];
  return { name, program, nodeFlags: NODE_FLAGS["node-agent"], readyEvent: "node.ready", args };
}

/** No secret is in the arguments: the token goes by file, a URL with credentials by environment. */
export function childSpec(
  { name, program, nodeFlags, readyEvent, args }: ProcessSpec,
  { natsUrl, dataDir, isInsecure, env }: ProcessSurroundings,
): ChildSpec {
  const hasCredentials = natsUrl !== redactUrl(natsUrl);
  return {
    ...{ name, readyEvent, logFile: dataDir.logFile(name) },
    isLogKept: !dataDir.isTemporary,
    args: [
      ...nodeFlags,
      program,
      ...(hasCredentials ? [] : ["--nats", natsUrl]),
      ...args,
      ...["--token-file", dataDir.tokenFile],
      ...(isInsecure ? ["--insecure"] : []),
    ],
    env: { ...env, NATS_URL: natsUrl },
  };
}
