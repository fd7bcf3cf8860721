/** Where a Node process spent its time, from the file that `node --cpu-prof` writes at its end. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

interface CallFrame {
  readonly functionName: string;
  /** Empty for what is part of the engine or of Node's native code. */
  readonly url: string;
  readonly lineNumber: number;
}

/** The part of V8's format that is needed. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: CallFrame;
    readonly children?: readonly number[];
  }[];
  /** Node at each sample. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

const IDLE = "(idle)";

export interface HotFunction {
  readonly name: string;
  /** Share of the time in which the process was not idle. */
  readonly selfRatio: number;
}

/** Errors: when the directory holds no profile, because the process was killed. */
export async function readCpuProfile(directory: string): Promise<CpuProfile> {
  const file = (await readdir(directory)).find((name) => name.endsWith(".cpuprofile"));
  if (file === undefined) throw new Error(`no CPU profile in ${directory}`);
  return JSON.parse(await readFile(join(directory, file), "utf8")) as CpuProfile;
}

/**
 * Functions by their own time, longest first. Lines of the same function are added up; a native
 * one is named with its caller, because `writeBuffer` alone does not tell a socket from a file.
 */
export function hotFunctions(profile: CpuProfile, countMax: number): HotFunction[] {
  const names = namesOf(profile);
  const selfUs = new Map<string, number>();
  let busyUs = 0;
  for (const [index, id] of profile.samples.entries()) {
    const name = names.get(id) ?? "";
    if (name === IDLE) continue;
    const deltaUs = profile.timeDeltas[index] ?? 0;
    busyUs += deltaUs;
    selfUs.set(name, (selfUs.get(name) ?? 0) + deltaUs);
  }
  return [...selfUs]
    .sort((a, b) => b[1] - a[1])
    .slice(0, countMax)
    .map(([name, us]) => ({ name, selfRatio: us / busyUs }));
}

function namesOf({ nodes }: CpuProfile): Map<number, string> {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  for (const { callFrame: caller, children = [] } of nodes) {
    // Engine states such as (idle) hang below the root, which has no name worth telling.
    if (caller.functionName === "(root)") continue;
    for (const id of children) {
      const frame = frames.get(id);
      if (frame?.url === "") names.set(id, `${nameOf(frame)} from ${nameOf(caller)}`);
    }
  }
  return names;
}

function nameOf({ functionName, url, lineNumber }: CallFrame): string {
  if (url === "") return functionName;
  const file = url.split("/").slice(-3).join("/");
  return `${functionName || "(anonymous)"} ${file}:${lineNumber + 1}`;
}
