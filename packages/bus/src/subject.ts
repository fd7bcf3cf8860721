/**
 * Subjects: what may be one, and which pattern matches which.
 *
 * Checked on the sender's side because a subject with a blank or a line break in it would be read
 * by the server as the next part of the protocol, not as a name.
 */
import { InvalidArgumentError } from "@murakkab/kit";

const SUBJECT_PATTERN = /^[^\s*>.]+(?:\.[^\s*>.]+)*$/;
const FILTER_PATTERN = /^(?:(?:\*|[^\s*>.]+)\.)*(?:\*|>|[^\s*>.]+)$/;
/** Longest piece of a bad subject that a message repeats, characters. */
const SHOWN_CHARS_MAX = 120;

/** Errors: `INVALID_ARGUMENT` unless dotted tokens without blanks and wildcards. */
export function checkSubject(subject: string): void {
  if (SUBJECT_PATTERN.test(subject)) return;
  throw new InvalidArgumentError(
    `subject ${show(subject)} is not valid, expected dotted tokens without blanks and wildcards`,
  );
}

/** Errors: `INVALID_ARGUMENT` unless a subject in which `*` is one token and a last `>` the rest. */
export function checkSubjectFilter(filter: string): void {
  if (FILTER_PATTERN.test(filter)) return;
  throw new InvalidArgumentError(
    `subject filter ${show(filter)} is not valid, expected dotted tokens, "*" or a last ">"`,
  );
}

function show(subject: string): string {
  return JSON.stringify(subject.slice(0, SHOWN_CHARS_MAX));
}

/** Whether a message on `subject` reaches a subscription of `filter`. */
export function subjectMatches(filter: string, subject: string): boolean {
  if (filter === subject) return true;
  const filterTokens = filter.split(".");
  const tokens = subject.split(".");
  for (const [index, token] of filterTokens.entries()) {
    if (token === ">") return tokens.length > index;
    if (index >= tokens.length) return false;
    if (token !== "*" && token !== tokens[index]) return false;
  }
  return filterTokens.length === tokens.length;
}

const STORE_NAME_PATTERN = /^[A-Za-z0-9_-]{1,128}$/;
const KEY_PATTERN = /^[-/=_A-Za-z0-9]+(?:\.[-/=_A-Za-z0-9]+)*$/;

/** Errors: `INVALID_ARGUMENT` unless usable as the name of a bucket or a log. */
export function checkStoreName(name: string, what: string): void {
  if (STORE_NAME_PATTERN.test(name)) return;
  throw new InvalidArgumentError(
    `${what} name ${show(name)} is not valid, expected 1 to 128 letters, digits, "-" or "_"`,
  );
}

/** Errors: `INVALID_ARGUMENT` unless usable as a key: dotted tokens. */
export function checkKey(key: string): void {
  if (KEY_PATTERN.test(key)) return;
  throw new InvalidArgumentError(
    `key ${show(key)} is not valid, expected dotted tokens of letters, digits and "-/_="`,
  );
}
