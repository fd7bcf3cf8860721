/**
 * A process of a bench beside the cluster: a client, a reference, an actor's host.
 *
 * Owns:      its start, questions to it over the IPC channel, its end. It ends with the bench,
 *            however that ends, because the channel closes.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { assert } from "@murakkab/kit";

export type PeerProgram =
  | "dag-client"
  | "dag-raw-coordinator"
  | "dag-raw-worker"
  | "dag-actor-host";

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly failure?: string;
}

export class PeerProcess {
  private readonly child: ChildProcess;
  private readonly name: string;
  private readonly pending = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  private lastId = 0;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.child = child;
    child.on("message", (message) => {
      const { id, value, failure } = message as Answer;
      const waiter = this.pending.get(id);
      this.pending.delete(id);
      if (failure === undefined) waiter?.resolve(value);
      else waiter?.reject(new Error(`${name}: ${failure}`));
    });
    child.on("exit", (code, signal) => {
      for (const { reject } of this.pending.values()) {
        reject(new Error(`${name} ended with ${signal ?? `code ${code}`}`));
      }
      this.pending.clear();
    });
  }

  /** Resolves when the process serves (`servePeer`). */
  static async start(program: PeerProgram, args: readonly string[]): Promise<PeerProcess> {
    const file = fileURLToPath(new URL(`./${program}.js`, import.meta.url));
    const peer = new PeerProcess(program, fork(file, args));
    await peer.ask({ kind: "hello" });
    return peer;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  ask(command: { readonly kind: string }): Promise<unknown> {
    assert(this.child.connected, `${this.name} has ended`);
    this.lastId += 1;
    const id = this.lastId;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.child.send({ id, command });
    });
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill();
    await gone;
  }
}

/** The other side: answers each command with what `handle` returns. */
export function servePeer(handle: (command: never) => Promise<unknown>): void {
  const answer = async ({ id, command }: { id: number; command: { kind: string } }) => {
    try {
      const value = command.kind === "hello" ? null : await handle(command as never);
      process.send?.({ id, value });
    } catch (error) {
      process.send?.({ id, failure: String(error) });
    }
  };
  process.on("message", (message) => void answer(message as Parameters<typeof answer>[0]));
  // Ends with the bench, however that ends.
  process.on("disconnect", () => process.exit(0));
}
