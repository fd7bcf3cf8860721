/**
 * Types of step inputs and outputs: a name (`video`, `frame`, `transcript`) or `list<name>`.
 *
 * Connection is by name. A list feeds a step that takes its item: the step fans out, and its
 * output becomes a list.
 */
import { InvalidArgumentError } from "@murakkab/kit";

export interface InterfaceType {
  readonly name: string;
  readonly isList: boolean;
}

const TYPE_PATTERN = /^(?:list<([a-z][a-z0-9-]*)>|([a-z][a-z0-9-]*))$/;

/** Errors: `INVALID_ARGUMENT` naming the text and the expected form. */
export function parseInterfaceType(text: string): InterfaceType {
  const match = TYPE_PATTERN.exec(text);
  if (match === null) {
    throw new InvalidArgumentError(
      `type "${text}" is not valid, expected a name such as video or list<frame>`,
    );
  }
  return match[1] === undefined
    ? { name: match[2] ?? "", isList: false }
    : { name: match[1], isList: true };
}

export function formatInterfaceType(type: InterfaceType): string {
  return type.isList ? `list<${type.name}>` : type.name;
}
