/**
 * One byte range of a request as first and last byte. Null for none, several or other units: the
 * whole content is a right answer to those. Source: RFC 9110, section 14.
 */
export function parseRange(
  header: string | undefined,
  bytes: number,
): readonly [number, number] | "unsatisfiable" | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (match === null || (match[1] === "" && match[2] === "")) return null;
  const [, from = "", to = ""] = match;
  if (from === "") {
    const suffixBytes = Number(to);
    if (suffixBytes === 0 || bytes === 0) return "unsatisfiable";
    return [Math.max(0, bytes - suffixBytes), bytes - 1];
  }
  const first = Number(from);
  const last = to === "" ? bytes - 1 : Math.min(Number(to), bytes - 1);
  if (to !== "" && Number(to) < first) return null;
  return first >= bytes ? "unsatisfiable" : [first, last];
}
