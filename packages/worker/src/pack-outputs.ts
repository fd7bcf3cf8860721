/**
 * What an engine gave into what the caller gets: files become artifacts, large values are spilled.
 *
 * Invariants:
 *   O1. Every declared output is there with the right shape, and nothing else is. Of a batch, every
 *       output is a list with one entry of that shape for each item.
 *   O2. A file is ingested once, however often the outputs name it.
 *   O3. What stays inline is at most SPILL_BYTES in sum, so that the answer fits in a message.
 */
import type { Deadline } from "@murakkab/kit";
import { EngineFailedError } from "@murakkab/kit";
import type { ArtifactRef, ExecutorEntry } from "@murakkab/model";
import { isArtifactRef, parseInterfaceType } from "@murakkab/model";
import type { PassedValue } from "@murakkab/protocol";
import { SPILL_BYTES } from "@murakkab/protocol";
import type { Values } from "./engine.ts";
import type { LazyScratch } from "./lazy-scratch.ts";
import type { AgentPort, ScratchPort } from "./ports.ts";

/** Files taken in at the same time: enough to hide the round trip, too few to flood the agent. */
const INGEST_CONCURRENCY_MAX = 8;
/** A port's name and a reference, roughly. */
const REFERENCE_BYTES = 256;
const JSON_MEDIA_TYPE = "application/json";

export interface PackContext {
  readonly agent: AgentPort;
  readonly disk: ScratchPort;
  readonly entry: ExecutorEntry;
  readonly jobId: string;
  /** Made only when a file or a large value needs it. */
  readonly scratch: LazyScratch;
  readonly deadline: Deadline;
  /** Items of the attempt when it is a batch. */
  readonly batchItems?: number;
}

export interface PackedOutputs {
  readonly outputs: Record<string, PassedValue>;
  /** About what the answer takes in memory and on the wire. */
  readonly bytes: number;
}

/** Errors: `ENGINE_FAILED` (O1, a file that is not there), and what the agent answers. */
export async function packOutputs(context: PackContext, outputs: Values): Promise<PackedOutputs> {
  checkOutputs(context, outputs);
  const files = await ingestFiles(context, outputs);
  const packed: Record<string, PassedValue> = {};
  const sized = Object.entries(outputs).map(([port, raw]) => {
    const value = replaceFiles(raw, files);
    const text = JSON.stringify(value);
    return { port, value, text, bytes: utf8Bytes(text) };
  });
  let inlineBytes = sized.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { port, value, text, bytes } of sized.sort((a, b) => b.bytes - a.bytes)) {
    if (inlineBytes <= SPILL_BYTES) {
      packed[port] = { kind: "inline", value };
      continue;
    }
    inlineBytes -= bytes; // O3
    packed[port] = await spill(context, { value, text });
  }
  return { outputs: packed, bytes: inlineBytes + sized.length * REFERENCE_BYTES };
}

/** O1. */
function checkOutputs(
  { entry, batchItems }: PackContext,
  outputs: unknown,
): asserts outputs is Values {
  const given: Values = outputs !== null && typeof outputs === "object" ? (outputs as Values) : {};
  for (const [port, { type }] of Object.entries(entry.outputs)) {
    const value = Object.hasOwn(given, port) ? given[port] : undefined;
    if (batchItems === undefined || value === undefined || value === null) {
      checkOutput(entry, `output "${port}"`, { type, value });
    } else checkBatchOutput(entry, port, { type, value, batchItems });
  }
  for (const port of Object.keys(given)) {
    if (Object.hasOwn(entry.outputs, port)) continue;
    const known = Object.keys(entry.outputs).join(", ");
    throw new EngineFailedError(
      `executor "${entry.id}" gave the output "${port}", expected only ${known}`,
    );
  }
}

function checkOutput(
  entry: ExecutorEntry,
  what: string,
  { type, value }: { readonly type: string; readonly value: unknown },
): void {
  if (value === undefined || value === null) {
    throw new EngineFailedError(
      `executor "${entry.id}" gave no ${what}, expected a value of type ${type}`,
    );
  }
  if (parseInterfaceType(type).isList && !Array.isArray(value)) {
    throw new EngineFailedError(
      `${what} of executor "${entry.id}" is a ${typeof value}, expected a list (${type})`,
    );
  }
}

function checkBatchOutput(
  entry: ExecutorEntry,
  port: string,
  { type, value, batchItems }: { type: string; value: unknown; batchItems: number },
): void {
  if (!Array.isArray(value) || value.length !== batchItems) {
    const given = Array.isArray(value) ? `a list of ${value.length}` : `a ${typeof value}`;
    throw new EngineFailedError(
      `output "${port}" of executor "${entry.id}" is ${given} for a batch, expected a list of ${batchItems}: one value of type ${type} for each item`,
    );
  }
  for (const [item, one] of (value as unknown[]).entries()) {
    checkOutput(entry, `output "${port}" for item ${item} of the batch`, { type, value: one });
  }
}

interface OutputFile {
  readonly outputFile: string;
  readonly mediaType: string;
}

function isOutputFile(value: unknown): value is OutputFile {
  if (value === null || typeof value !== "object") return false;
  const { outputFile, mediaType } = value as Partial<OutputFile>;
  return typeof outputFile === "string" && typeof mediaType === "string";
}

/** O2: path as the engine named it to its artifact. */
async function ingestFiles(
  context: PackContext,
  outputs: Values,
): Promise<ReadonlyMap<string, ArtifactRef>> {
  const wanted = new Map<string, OutputFile>();
  const visit = (node: unknown): void => {
    if (isOutputFile(node)) wanted.set(node.outputFile, node);
    else if (node !== null && typeof node === "object" && !isArtifactRef(node)) {
      for (const item of Object.values(node)) visit(item);
    }
  };
  visit(outputs);
  const waiting = [...wanted.values()];
  const files = new Map<string, ArtifactRef>();
  const takeIn = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      files.set(file.outputFile, await ingestFile(context, file));
    }
  };
  const count = Math.min(INGEST_CONCURRENCY_MAX, waiting.length);
  await Promise.all(Array.from({ length: count }, takeIn));
  return files;
}

async function ingestFile(context: PackContext, file: OutputFile): Promise<ArtifactRef> {
  const { agent, disk, entry, jobId, scratch, deadline } = context;
  const path = await disk.resolveBelow(scratch.path, file.outputFile);
  if (path === null) {
    const name = file.outputFile.slice(file.outputFile.lastIndexOf("/") + 1);
    throw new EngineFailedError(
      `executor "${entry.id}" named the output file "${name}", expected a file that it wrote in its scratch directory`,
    );
  }
  const { mediaType } = file;
  return agent.ingest({ jobId, path, mediaType, remainingMs: deadline.remainingMs() });
}

function replaceFiles(value: unknown, files: ReadonlyMap<string, ArtifactRef>): unknown {
  if (files.size === 0) return value;
  if (isOutputFile(value)) return files.get(value.outputFile) ?? value;
  if (Array.isArray(value)) return value.map((item) => replaceFiles(item, files));
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value).map(([key, item]): [string, unknown] => [
      key,
      replaceFiles(item, files),
    ]);
    return Object.fromEntries(entries);
  }
  return value;
}

async function spill(
  { agent, disk, jobId, scratch, deadline }: PackContext,
  { value, text }: { readonly value: unknown; readonly text: string },
): Promise<PassedValue> {
  const path = await disk.writeText(scratch.path, text);
  const artifact = await agent.ingest({
    jobId,
    path,
    mediaType: JSON_MEDIA_TYPE,
    remainingMs: deadline.remainingMs(),
  });
  const count = Array.isArray(value) ? { count: value.length } : {};
  return { kind: "spilled", artifact, ...count };
}

/** Length in UTF-8 without making the bytes. */
function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    // A surrogate is half of a four-byte character.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
  }
  return bytes;
}
