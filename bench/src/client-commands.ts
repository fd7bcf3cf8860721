/** What the benches `dag` and `overload` ask of their client process, and what it answers. */
import type { ClosedLoop, LoopResult } from "./closed-loop.ts";
import type { BurstResult, FloodResult, PacedResult } from "./offered-load.ts";
import type { OpenLoop } from "./open-loop.ts";
import { PeerProcess } from "./peer-process.ts";

export type LoopSide = "jobs" | "raw" | "actors";

export interface ClientCommands {
  /** A closed loop of whole runs. */
  readonly loop: ClosedLoop & { readonly side: LoopSide; readonly isDurable: boolean };
  /** Submissions without waiting for ends, then all the ends. */
  readonly burst: { readonly count: number; readonly inFlightCount: number };
  /** An open loop of submissions, whatever the answers are. */
  readonly flood: OpenLoop & { readonly tenant: string };
  /** An open loop of whole runs by a tenant that obeys refusals; `graceMs` for the last ends. */
  readonly paced: OpenLoop & { readonly tenant: string; readonly graceMs: number };
}

export interface ClientResults {
  readonly loop: LoopResult;
  readonly burst: BurstResult;
  readonly flood: FloodResult;
  readonly paced: PacedResult;
}

type Kind = keyof ClientCommands;
export type ClientCommand = { [K in Kind]: { readonly kind: K } & ClientCommands[K] }[Kind];

export class BenchClient {
  private readonly peer: PeerProcess;

  private constructor(peer: PeerProcess) {
    this.peer = peer;
  }

  static async start(url: string): Promise<BenchClient> {
    return new BenchClient(await PeerProcess.start("dag-client", [url]));
  }

  get pid(): number {
    return this.peer.pid;
  }

  async ask<K extends Kind>(kind: K, command: ClientCommands[K]): Promise<ClientResults[K]> {
    return (await this.peer.ask({ kind, ...command })) as ClientResults[K];
  }

  stop(): Promise<void> {
    return this.peer.stop();
  }
}
