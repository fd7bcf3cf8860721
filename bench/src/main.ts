/**
 * `npm run bench -- NAME [--json] [--long] [--profile] [--seed TEXT]`: measures and prints one report.
 *
 * Progress goes to standard error; the last line of standard output is the report's object.
 */
import { parseArgs } from "node:util";
import { runBusBench } from "@murakkab/bus/bench";
import { describeError, InvalidArgumentError } from "@murakkab/kit";
import { actorsBench } from "./actors.ts";
import { chooseBench } from "./choose.ts";
import { dagBench } from "./dag.ts";
import { footprintBench } from "./footprint.ts";
import { overheadBench } from "./overhead.ts";
import { overloadBench } from "./overload.ts";
import { predictBench } from "./predict.ts";
import { recoveryBench } from "./recovery.ts";
import { type Bench, formatTable } from "./report.ts";
import { sloBench } from "./slo.ts";
import { videoQaBench } from "./video-qa.ts";

const BENCHES: Readonly<Record<string, Bench>> = {
  overhead: overheadBench,
  dag: dagBench,
  overload: overloadBench,
  bus: {
    method:
      "our request path against the client's own with the same bytes to the same responder, in turn, median of the rounds' ratios",
    run: ({ say }) => runBusBench({ onProgress: say }),
  },
  "video-qa": videoQaBench,
  footprint: footprintBench,
  actors: actorsBench,
  choose: chooseBench,
  slo: sloBench,
  predict: predictBench,
  recovery: recoveryBench,
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    args: process.argv.slice(2),
    allowPositionals: true,
    options: {
      json: { type: "boolean" },
      long: { type: "boolean" },
      profile: { type: "boolean" },
      seed: { type: "string" },
      verbose: { type: "boolean" },
    },
  });
  const name = positionals[0] ?? "";
  const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
  if (bench === undefined) {
    throw new InvalidArgumentError(
      `benchmark "${name}" is not known, expected one of ${Object.keys(BENCHES).join(", ")}`,
    );
  }
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => controller.abort(new Error("interrupted")));
  }
  const report = await bench.run({
    isLong: values.long === true,
    isProfiled: values.profile === true,
    seed: values.seed ?? "1",
    signal: controller.signal,
    say: (line) => void process.stderr.write(`${line}\n`),
  });
  process.stdout.write(
    `${values.json === true ? JSON.stringify(report) : formatTable(report, bench.method)}\n`,
  );
}

main().catch((error: unknown) => {
  process.stderr.write(`murakkab bench: ${describeError(error)}\n`);
  if (process.argv.includes("--verbose") && error instanceof Error)
    process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
