/**
 * Refuses library files that carry credentials: they are committed, shown and sent over the wire.
 *
 * The message never repeats the value.
 */
import type { FieldPath, YamlSource } from "./yaml-source.ts";

const SECRET_VALUES: readonly RegExp[] = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /\bAKIA[0-9A-Z]{16}\b/,
  /\bgh[pousr]_[A-Za-z0-9]{20,}\b/,
  /\bsk-[A-Za-z0-9_-]{16,}\b/,
  /\bhf_[A-Za-z0-9]{20,}\b/,
  /\bxox[abprs]-[A-Za-z0-9-]{10,}\b/,
  /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\./,
  /\b[a-z][a-z0-9+.-]*:\/\/[^/\s:@]+:[^/\s@]+@/i,
  /\bBearer\s+[A-Za-z0-9._~+/-]{12,}/i,
];
/** A field or argument with such a name holds a secret unless it is a hole. */
const SECRET_NAME =
  /(?:^|[-_])(?:password|passwd|secret|token|credential|credentials|api[-_]?key|access[-_]?key|private[-_]?key)(?:$|=)/i;
const NAME_WITH_VALUE = /^-{0,2}([A-Za-z0-9_-]+)=(.+)$/s;

export function lintSecrets(source: YamlSource): void {
  visit(source, source.value, []);
}

function visit(source: YamlSource, value: unknown, path: FieldPath): void {
  if (typeof value === "string") {
    if (!looksSecret(value, String(path.at(-1) ?? ""))) return;
    source.error(
      path,
      "this looks like a secret, expected none: the file is shown and sent around",
    );
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) visit(source, item, [...path, index]);
  } else if (value !== null && typeof value === "object") {
    for (const [key, item] of Object.entries(value)) visit(source, item, [...path, key]);
  }
}

function looksSecret(value: string, fieldName: string): boolean {
  if (SECRET_VALUES.some((pattern) => pattern.test(value))) return true;
  const isHole = value.startsWith("${");
  if (!isHole && value !== "" && SECRET_NAME.test(fieldName)) return true;
  const assigned = NAME_WITH_VALUE.exec(value);
  if (assigned === null) return false;
  return SECRET_NAME.test(assigned[1] ?? "") && !(assigned[2] ?? "").startsWith("${");
}
