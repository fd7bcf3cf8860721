/**
 * Takes credentials out of text that leaves the process, such as a worker's stderr.
 *
 * A net, not a promise: workers hand no credentials of ours to programs in the first place.
 */
const RULES: readonly (readonly [RegExp, string])[] = [
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^/\s@]+@/gi, "$1***@"],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, "$1 ***"],
  [/\bmkt\.(upload|download)\.\d+\.[0-9a-f]{64}\b/g, "mkt.$1.***"],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, "***"],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?/g, "***"],
  [
    /\b([\w-]*(?:password|passwd|secret|token|api[-_]?key))(["']?\s*[=:]\s*)("[^"]*"|[^\s,;&"]+)/gi,
    "$1$2***",
  ],
];

export function redact(text: string): string {
  return RULES.reduce((clean, [pattern, replacement]) => clean.replace(pattern, replacement), text);
}
