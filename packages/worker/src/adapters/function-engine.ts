/**
 * The engine of `function` executors: TypeScript of the library that runs in this process.
 *
 * Invariants:
 *   F1. A call settles only when every program that the function started has ended.
 *   F2. A function that ignores its signal is left behind at the abort: the call fails on time, and
 *       its later programs are refused. What blocks the event loop, only the agent can end.
 */
import { setMaxListeners } from "node:events";
import type { AbortSignalLike } from "@murakkab/kit";
import { EngineFailedError, InvalidArgumentError } from "@murakkab/kit";
import type { ExecutorFunction, FunctionCall, RunResult } from "@murakkab/library";
import type { ExecutorEntry } from "@murakkab/model";
import type { Engine, EngineCall, EngineCapabilities, Values } from "../engine.ts";
import type { ProgramRunner } from "./program.ts";

export interface FunctionEngineComponents {
  readonly programs: ProgramRunner;
  readonly functions: Readonly<Record<string, ExecutorFunction>>;
}

export class FunctionCallEngine implements Engine {
  readonly capabilities: EngineCapabilities;
  private readonly programs: ProgramRunner;
  private readonly entry: ExecutorEntry;
  private readonly fn: ExecutorFunction;
  /** One for all calls: its stack would say nothing, and it would be the dearest part of small ones. */
  private readonly hasEnded: EngineFailedError;

  /** Errors: `INVALID_ARGUMENT` when the function is not known. */
  constructor(components: FunctionEngineComponents, entry: ExecutorEntry, name: string) {
    const { functions, programs } = components;
    const fn = Object.hasOwn(functions, name) ? functions[name] : undefined;
    if (fn === undefined) {
      const known = Object.keys(functions).join(", ") || "none";
      throw new InvalidArgumentError(`function "${name}" is not known, expected one of ${known}`);
    }
    this.capabilities = { concurrencyMax: entry.resources.concurrency ?? 1 };
    this.programs = programs;
    this.entry = entry;
    this.fn = fn;
    this.hasEnded = new EngineFailedError(`the call of executor "${entry.id}" has ended`);
  }

  async start(): Promise<void> {}

  async run(call: EngineCall): Promise<Values> {
    const signal = new CallSignal(call.signal, this.hasEnded);
    const running = new Set<Promise<unknown>>();
    try {
      const outputs = this.fn(this.functionCall(call, signal, running));
      return await Promise.race([outputs, signal.aborted]); // F2
    } finally {
      signal.end();
      if (running.size > 0) await Promise.all(running); // F1
    }
  }

  async stop(): Promise<void> {}

  private functionCall(
    call: EngineCall,
    source: CallSignal,
    running: Set<Promise<unknown>>,
  ): FunctionCall {
    const { inputs, knobs, threads, isBatch = false } = call;
    const run: FunctionCall["run"] = (program, args, options = {}) => {
      if (!this.entry.programs.includes(program)) return Promise.reject(this.undeclared(program));
      const { signal } = source;
      if (signal.aborted) return Promise.reject(signal.reason as Error); // before a look at scratch
      const cwd = call.scratchDir;
      const result = this.programs.run({ program, args, cwd, signal, ...options });
      track(running, result);
      return result;
    };
    return {
      inputs,
      knobs,
      threads,
      isBatch,
      get scratchDir() {
        return call.scratchDir;
      },
      get signal() {
        return source.signal;
      },
      run,
      openArtifact: (ref) => call.openArtifact(ref),
    };
  }

  /** Nodes are chosen by the entry's list: an undeclared program is missing somewhere else. */
  private undeclared(program: string): EngineFailedError {
    const declared = this.entry.programs.join(", ") || "none";
    return new EngineFailedError(
      `executor "${this.entry.id}" ran program "${program}", expected one that it declares: ${declared}`,
    );
  }
}

function track(running: Set<Promise<unknown>>, result: Promise<RunResult>): void {
  const settled: Promise<unknown> = result.then(
    () => running.delete(settled),
    () => running.delete(settled),
  );
  running.add(settled);
}

/**
 * The platform's signal of one call, made when it is first looked at: a small function never does,
 * and an AbortController with its event costs more than such a function.
 */
class CallSignal {
  /** Rejects when the call is aborted; never settles otherwise. */
  readonly aborted: Promise<never>;
  private readonly source: AbortSignalLike;
  private readonly hasEnded: Error;
  private readonly onAbort: () => void;
  private controller: AbortController | null = null;
  private isOver = false;

  constructor(source: AbortSignalLike, hasEnded: Error) {
    this.source = source;
    this.hasEnded = hasEnded;
    let reject: (reason: Error) => void = () => undefined;
    this.aborted = new Promise<never>((_resolve, onAbort) => {
      reject = onAbort;
    });
    this.aborted.catch(() => undefined); // a call that has ended listens no more
    this.onAbort = () => {
      reject(source.reason as Error);
      this.controller?.abort(source.reason);
    };
    if (source.aborted) this.onAbort();
    else source.addEventListener("abort", this.onAbort);
  }

  get signal(): AbortSignal {
    this.controller ??= this.makeController();
    return this.controller.signal;
  }

  /** What the function left behind is told to stop. */
  end(): void {
    this.isOver = true;
    this.source.removeEventListener("abort", this.onAbort);
    this.controller?.abort(this.hasEnded);
  }

  private makeController(): AbortController {
    const controller = new AbortController();
    setMaxListeners(0, controller.signal); // one per program, and a function may run many at once
    if (this.source.aborted) controller.abort(this.source.reason);
    else if (this.isOver) controller.abort(this.hasEnded);
    return controller;
  }
}
