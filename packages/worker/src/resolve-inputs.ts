/**
 * Passed values into plain values: inline, spilled, gathered lists, packed.
 *
 * Owns:      their meaning on the worker's side, and one remembered spilled file: the items of a
 *            fanned-out list all come from the same one.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { ArtifactRef, ExecutorEntry } from "@murakkab/model";
import type { PassedValue } from "@murakkab/protocol";
import { passedValueSchema, validate } from "@murakkab/protocol";
import type { ArtifactOpener } from "./artifact-opener.ts";
import type { Values } from "./engine.ts";
import type { ScratchPort } from "./ports.ts";

/** Packed values inside packed values: each level shrinks the message, and one suffices. */
const PACKED_DEPTH_MAX = 4;

export class InputResolver {
  private readonly scratch: ScratchPort;
  private last: { readonly artifact: string; readonly value: Promise<unknown> } | null = null;

  constructor(scratch: ScratchPort) {
    this.scratch = scratch;
  }

  /** Errors: `INVALID_ARGUMENT` for an unknown or missing port; what opening an artifact throws. */
  async resolve(
    entry: ExecutorEntry,
    inputs: Readonly<Record<string, PassedValue>>,
    opener: ArtifactOpener,
  ): Promise<Values> {
    const values: Record<string, unknown> = {};
    for (const [port, passed] of Object.entries(inputs)) {
      if (!Object.hasOwn(entry.inputs, port)) {
        const known = Object.keys(entry.inputs).join(", ") || "none";
        throw new InvalidArgumentError(
          `executor "${entry.id}" has no input "${port}", expected one of ${known}`,
          { field: `inputs.${port}` },
        );
      }
      values[port] = await this.value(passed, opener, 0);
    }
    for (const [port, { isOptional, type }] of Object.entries(entry.inputs)) {
      if (isOptional === true || values[port] !== undefined) continue;
      throw new InvalidArgumentError(
        `input "${port}" of executor "${entry.id}" is missing, expected a value of type ${type}`,
        { field: `inputs.${port}` },
      );
    }
    return values;
  }

  private async value(
    passed: PassedValue,
    opener: ArtifactOpener,
    depth: number,
  ): Promise<unknown> {
    switch (passed.kind) {
      case "inline":
        return passed.value;
      case "spilled": {
        const whole = await this.read(passed.artifact, opener);
        return passed.index === undefined ? whole : itemOf(whole, passed.index);
      }
      case "list":
        return Promise.all(passed.items.map((item) => this.value(item, opener, depth)));
      case "packed": {
        if (depth >= PACKED_DEPTH_MAX) {
          throw new InvalidArgumentError(
            `a value is packed more than ${PACKED_DEPTH_MAX} times, expected fewer`,
          );
        }
        const inner = await this.read(passed.artifact, opener);
        return this.value(validate(passedValueSchema, inner, "packed value"), opener, depth + 1);
      }
    }
  }

  /** The items of a batch ask for the same file at once: one reading serves them all. */
  private read(ref: ArtifactRef, opener: ArtifactOpener): Promise<unknown> {
    if (this.last?.artifact === ref.artifact) return this.last.value;
    const reading = { artifact: ref.artifact, value: this.readJson(ref, opener) };
    this.last = reading;
    reading.value.catch(() => {
      if (this.last === reading) this.last = null;
    });
    return reading.value;
  }

  private async readJson(ref: ArtifactRef, opener: ArtifactOpener): Promise<unknown> {
    const text = await this.scratch.readText(await opener.open(ref));
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw new InvalidArgumentError(`${ref.artifact} is not JSON, expected a spilled value`, {
        cause,
      });
    }
  }
}

function itemOf(list: unknown, index: number): unknown {
  if (!Array.isArray(list) || index < 0 || index >= list.length) {
    const what = Array.isArray(list) ? `a list of ${list.length} items` : "no list";
    throw new InvalidArgumentError(
      `item ${index} is asked of ${what}, expected an index in a list`,
    );
  }
  return list[index] as unknown;
}
