/**
 * Texts for HTML and SVG. Job texts, knob values and reasons come from elsewhere.
 *
 * Invariants:
 *   E1. Every text that is not written in this directory goes through `escapeHtml`, in element
 *       content and in quoted attributes alike.
 */
const NAMES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Characters that XML does not allow are dropped: an SVG with one is not drawn at all. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the point.
const NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]|\p{Surrogate}/gu;

export function escapeHtml(text: string): string {
  return text.replace(NOT_XML, "").replace(/[&<>"']/g, (character) => NAMES[character] ?? "");
}
