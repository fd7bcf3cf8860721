/** `murakkab doctor`: what is there, what is missing, and what that costs. */
import { describeError } from "@murakkab/kit";
import { CATALOGUE_DIR, loadLibrary } from "@murakkab/library";
import type { Client, NodeView } from "@murakkab/sdk";
import { connect, redactUrl, resolveNats } from "@murakkab/sdk";
import { rootPath } from "../cluster/process-paths.ts";
import type { CommonOptions, Context } from "../context.ts";
import { columnsOf, EXIT, orInterrupted, printJson, printLines } from "../context.ts";
import { padEnd, truncate } from "../render/text-width.ts";
import type { Finding } from "./checks.ts";
import {
  checkClocks,
  checkDisk,
  checkJetStream,
  checkNatsServer,
  checkNode,
  checkPorts,
  checkProgram,
  checkSchedulers,
} from "./checks.ts";

export async function doctor(context: Context, flags: CommonOptions): Promise<number> {
  const findings = await orInterrupted(examine(context, flags), context.signal);
  const isBad = findings.some(({ verdict }) => verdict === "bad");
  if (flags.json === true) printJson(context.stdout, { isHealthy: !isBad, findings });
  else printLines(context.stdout, findingLines(context, findings));
  return isBad ? EXIT.failed : EXIT.ok;
}

async function examine(context: Context, flags: CommonOptions): Promise<Finding[]> {
  const { executors } = loadLibrary([CATALOGUE_DIR]);
  const programs = [...new Set(executors.flatMap((entry) => entry.programs))].sort();
  const checked = await Promise.all([
    checkNatsServer(rootPath(".")),
    ...programs.map(checkProgram),
    checkPorts(),
    checkDisk(),
  ]);
  const host = [checkNode(process.version), ...checked];
  const missing = new Set(
    host.flatMap(({ check, verdict }) =>
      verdict === "poor" ? [check.replace("program ", "")] : [],
    ),
  );
  const { url, source } = await resolveNats(flags.nats, context.env);
  const where = `${redactUrl(url)} (${source})`;
  let client: Client;
  try {
    client = await connect({ env: context.env, nats: url, name: "murakkab-doctor" });
  } catch (error) {
    // No bus is bad only where one was named: `up` brings its own.
    const verdict = source === "option" || source === "NATS_URL" ? "bad" : "poor";
    const text =
      verdict === "bad" ? describeError(error) : `none at ${where}; "murakkab up" starts one`;
    const losses = executors.flatMap((entry) => {
      const lacking = entry.programs.filter((program) => missing.has(program));
      return lacking.length === 0 ? [] : [loss(entry, `needs ${lacking.join(", ")}`)];
    });
    return [...host, checkClocks([], Date.now()), { check: "bus", verdict, text }, ...losses];
  }
  try {
    const bus: Finding = {
      check: "bus",
      verdict: "good",
      text: `${client.description} (${source})`,
    };
    return [...host, bus, await checkJetStream(client), ...(await examineCluster(client))];
  } finally {
    await client.close();
  }
}

async function examineCluster(client: Client): Promise<Finding[]> {
  let nodes: NodeView[];
  try {
    nodes = await client.nodes();
  } catch (error) {
    return [
      checkClocks([], Date.now()),
      { check: "scheduler", verdict: "bad", text: describeError(error) },
    ];
  }
  const samples = nodes.flatMap(({ node, sample, sampleAgeMs }) =>
    sample === null ? [] : [{ node, sampledAt: sample.sampledAt, sampleAgeMs: sampleAgeMs ?? 0 }],
  );
  const { executors } = await client.library();
  const schedulers = checkSchedulers(await client.schedulers());
  return [
    checkClocks(samples, Date.now()),
    schedulers,
    { check: "library", verdict: "good", text: `${executors.length} executors` },
    {
      check: "nodes",
      verdict: nodes.length === 0 ? "bad" : "good",
      text:
        nodes.length === 0
          ? "none is registered: no job can run"
          : nodes.map(({ node, offer }) => `${node} (${offer.cpus} cpus)`).join(", "),
    },
    ...executors.flatMap((entry) =>
      entry.unavailable === null ? [] : [loss(entry, entry.unavailable)],
    ),
  ];
}

function loss(
  entry: { id: string; capability: string; missingMeans?: string },
  why: string,
): Finding {
  const cost = entry.missingMeans ?? `plans go without ${entry.capability}`;
  return { check: `executor ${entry.id}`, verdict: "poor", text: `${why}: ${cost}` };
}

function findingLines({ stdout, paint }: Context, findings: readonly Finding[]): string[] {
  const marks = { good: paint.green("✔"), poor: paint.yellow("!"), bad: paint.red("✘") } as const;
  const checkColumns = Math.max(...findings.map(({ check }) => check.length));
  const columns = stdout.isTTY === true ? columnsOf(stdout) : Number.POSITIVE_INFINITY;
  return findings.map(({ check, verdict, text }) => {
    const shown = truncate(text, columns - checkColumns - 4);
    return `${marks[verdict]} ${padEnd(check, checkColumns)}  ${shown}`;
  });
}
