/**
 * How well a job's description names a capability. Deliberately simple: it ranks what the types
 * already allow, it decides nothing that the types forbid.
 */

const QUESTION_STARTS = new Set([
  "who", "whom", "whose", "what", "which", "where", "when", "why", "how", "is", "are", "was",
  "were", "do", "does", "did", "can", "could", "has", "have", "had", "will", "name", "tell",
]); // biome-ignore format: a table

export function isQuestion(text: string): boolean {
  const trimmed = text.trim().toLowerCase();
  if (trimmed.endsWith("?")) return true;
  return QUESTION_STARTS.has(/^[a-z]+/.exec(trimmed)?.[0] ?? "");
}

/** Lower-case words without the commonest endings, so that `transcribing` meets `transcribe`. */
export function stemWords(text: string): readonly string[] {
  const words = text.toLowerCase().match(/[a-z]{2,}/g) ?? [];
  return words.map((word) => word.replace(/(?:ing|ed|es|e|s|tion|ion)$/, ""));
}

/** Number of keyword phrases whose words all occur in the text. */
export function keywordHits(text: string, keywords: readonly string[]): number {
  const words = new Set(stemWords(text));
  return keywords.filter((phrase) => {
    const stems = stemWords(phrase);
    return stems.length > 0 && stems.every((stem) => words.has(stem));
  }).length;
}
