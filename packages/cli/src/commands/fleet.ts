/** `murakkab nodes`, `instances`, `telemetry`. */
import type { Client, NodeSample, NodeView } from "@murakkab/sdk";
import type { CommonOptions, Context } from "../context.ts";
import { columnsOf, EXIT, printJson, printLines, withClient } from "../context.ts";
import { renderTable } from "../render/table.ts";
import { padEnd, truncate } from "../render/text-width.ts";
import { formatBytes, formatCpuSec, formatDuration, formatRatio } from "../render/units.ts";

export async function nodes(context: Context, flags: CommonOptions): Promise<number> {
  const { stdout, paint } = context;
  const list = await withClient(context, flags, (client) => client.nodes());
  if (flags.json === true) printJson(stdout, { nodes: list });
  else if (list.length === 0) stdout.write("no nodes are registered\n");
  else {
    const columns = [
      { title: "node" },
      { title: "host", columnsMin: 8 },
      { title: "cpus", align: "right" },
      { title: "busy", align: "right" },
      { title: "memory", align: "right" },
      { title: "gpus", align: "right" },
      { title: "instances", align: "right" },
      { title: "heard", align: "right" },
      { title: "labels", columnsMin: 6 },
    ] as const;
    const options = { columns: columnsOf(stdout), paintTitle: paint.dim };
    printLines(stdout, renderTable(columns, list.map(nodeRow), options));
  }
  return EXIT.ok;
}

function nodeRow(node: NodeView): string[] {
  const { offer, host, sample } = node;
  return [
    node.node,
    host.hostname,
    `${node.cpusReserved}/${offer.cpus}`,
    sample === null ? "n/a" : formatRatio(sample.cpu.busyRatio),
    formatBytes(offer.memoryMib * 1024 ** 2),
    String(node.gpus.length),
    String((sample?.instances ?? node.instances).length),
    `${formatDuration(node.lastHeardMsAgo)} ago`,
    Object.entries(node.labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
  ];
}

export async function instances(context: Context, flags: CommonOptions): Promise<number> {
  const { stdout, paint } = context;
  const list = await withClient(context, flags, (client) => client.instances());
  if (flags.json === true) printJson(stdout, { instances: list });
  else if (list.length === 0) stdout.write("no instances are running\n");
  else {
    const columns = [
      { title: "instance", columnsMin: 12 },
      { title: "executor", columnsMin: 10 },
      { title: "node" },
      { title: "state" },
      { title: "queued", align: "right" },
      { title: "in flight", align: "right" },
      { title: "cpu s", align: "right" },
      { title: "memory", align: "right" },
    ] as const;
    const rows = list.map((it) => [
      it.instance,
      it.executor,
      it.node,
      it.state,
      String(it.queuedCount),
      String(it.inFlightCount),
      formatCpuSec(it.cpuSec),
      it.memoryBytes === null ? "n/a" : formatBytes(it.memoryBytes),
    ]);
    const options = { columns: columnsOf(stdout), paintTitle: paint.dim };
    printLines(stdout, renderTable(columns, rows, options));
  }
  return EXIT.ok;
}

/** With `--once` a node that is silent for this long is left out, ms. */
const ONCE_WAIT_MS = 3_000;

export async function telemetry(
  context: Context,
  flags: CommonOptions & { readonly once?: boolean },
): Promise<number> {
  const { stdout } = context;
  const show = (sample: NodeSample): void => {
    if (flags.json === true) printJson(stdout, sample);
    else stdout.write(`${truncate(sampleLine(sample), columnsForLines(context))}\n`);
  };
  return withClient(context, flags, async (client) => {
    if (flags.once === true) return showOnce(client, show);
    for await (const sample of client.telemetry()) show(sample);
    return EXIT.ok;
  });
}

async function showOnce(client: Client, show: (sample: NodeSample) => void): Promise<number> {
  const samples = client.telemetry(); // Listens from here on, before the nodes are asked for.
  const missing = new Set((await client.nodes()).map(({ node }) => node));
  const iterator = samples[Symbol.asyncIterator]();
  const deadline = new Promise<null>((resolve) => setTimeout(resolve, ONCE_WAIT_MS, null));
  while (missing.size > 0) {
    const next = await Promise.race([iterator.next(), deadline]);
    if (next === null || next.done === true) break;
    if (missing.delete(next.value.node)) show(next.value);
  }
  return missing.size === 0 ? EXIT.ok : EXIT.failed;
}

function columnsForLines({ stdout }: Context): number {
  return stdout.isTTY === true ? columnsOf(stdout) : Number.POSITIVE_INFINITY;
}

function sampleLine({
  node,
  sampledAt,
  cpu,
  memory,
  disk,
  network,
  gpus,
  instances,
}: NodeSample): string {
  const busy = instances.filter(({ state }) => state === "busy").length;
  const power = gpus.reduce((sum, { powerWatts }) => sum + (powerWatts ?? 0), 0);
  return [
    sampledAt.slice(11, 19),
    padEnd(node, 12),
    `cpu ${formatRatio(cpu.busyRatio).padStart(4)} of ${cpu.cores}`,
    `memory ${formatRatio(memory.usedBytes / memory.totalBytes).padStart(4)}`,
    `artifacts ${formatBytes(disk.artifactBytes)}`,
    `net ↓${rate(network.rxBytesPerSec)} ↑${rate(network.txBytesPerSec)}`,
    ...(gpus.length === 0 ? [] : [`gpus ${gpus.length} (${Math.round(power)} W)`]),
    `instances ${instances.length} (${busy} busy)`,
  ].join("  ");
}

function rate(bytesPerSec: number | null): string {
  return bytesPerSec === null ? "n/a" : `${formatBytes(bytesPerSec)}/s`;
}
