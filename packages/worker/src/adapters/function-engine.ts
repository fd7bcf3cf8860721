/**
 * The engine of `function` executors: TypeScript of the library that runs in this process.
 *
 * Invariants:
 *   F1. A call settles only when every program that the function started has ended.
 *   F2. A function that ignores its signal is left behind at the abort: the call fails on time, and
 *       its later programs are refused. What blocks the event loop, only the agent can end.
 */
import { setMaxListeners } from "node:events";
import { EngineFailedError, InvalidArgumentError } from "@murakkab/kit";
import type { ExecutorFunction, FunctionCall, RunResult } from "@murakkab/library";
import type { ExecutorEntry } from "@murakkab/model";
import type { Engine, EngineCall, Values } from "../engine.ts";
import type { ProgramRunner } from "./program.ts";

export interface FunctionEngineComponents {
  readonly programs: ProgramRunner;
  readonly functions: Readonly<Record<string, ExecutorFunction>>;
}

export class FunctionCallEngine implements Engine {
  readonly capabilities = { concurrencyMax: 1 };
  private readonly programs: ProgramRunner;
  private readonly entry: ExecutorEntry;
  private readonly fn: ExecutorFunction;

  /** Errors: `INVALID_ARGUMENT` when the function is not known. */
  constructor(components: FunctionEngineComponents, entry: ExecutorEntry, name: string) {
    const { functions, programs } = components;
    const fn = Object.hasOwn(functions, name) ? functions[name] : undefined;
    if (fn === undefined) {
      const known = Object.keys(functions).join(", ") || "none";
      throw new InvalidArgumentError(`function "${name}" is not known, expected one of ${known}`);
    }
    this.programs = programs;
    this.entry = entry;
    this.fn = fn;
  }

  async start(): Promise<void> {}

  async run(call: EngineCall): Promise<Values> {
    const controller = new AbortController();
    setMaxListeners(0, controller.signal); // one per program, and a function may run many at once
    const onAbort = (): void => controller.abort(call.signal.reason);
    if (call.signal.aborted) onAbort();
    else call.signal.addEventListener("abort", onAbort);
    const running = new Set<Promise<unknown>>();
    try {
      const outputs = this.fn(this.functionCall(call, controller.signal, running));
      return await Promise.race([outputs, rejectOnAbort(controller.signal)]); // F2
    } finally {
      call.signal.removeEventListener("abort", onAbort);
      controller.abort(new EngineFailedError(`the call of executor "${this.entry.id}" has ended`));
      await Promise.all(running); // F1
    }
  }

  async stop(): Promise<void> {}

  private functionCall(
    call: EngineCall,
    signal: AbortSignal,
    running: Set<Promise<unknown>>,
  ): FunctionCall {
    const { inputs, knobs, threads, scratchDir } = call;
    const run: FunctionCall["run"] = (program, args, options = {}) => {
      if (!this.entry.programs.includes(program)) return Promise.reject(this.undeclared(program));
      const result = this.programs.run({ program, args, cwd: scratchDir, signal, ...options });
      track(running, result);
      return result;
    };
    return {
      inputs,
      knobs,
      threads,
      scratchDir,
      signal,
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

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
  aborted.catch(() => undefined); // rejects at every call's end, when nobody listens any more
  return aborted;
}
