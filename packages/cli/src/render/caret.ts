/** A text with a caret under the character that is at fault. */
import { padEnd, textWidth } from "./text-width.ts";

/** Characters that are shown on each side of the fault in a long text. */
const AROUND = 34;

/** `position` counts from 1 and may be one past the end, where something is missing. */
export function caretLines(text: string, position: number): [string, string] {
  // Of the same length, so that the caret stays where it belongs.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the point.
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");
  const at = Math.max(0, Math.min(plain.length, position - 1));
  const from = at > AROUND ? at - AROUND : 0;
  const head = `${from > 0 ? "…" : ""}${plain.slice(from, at)}`;
  const isCut = plain.length > at + AROUND;
  const tail = `${plain.slice(at, at + AROUND)}${isCut ? "…" : ""}`;
  return [head + tail, `${padEnd("", textWidth(head))}^`];
}
