/** Small executor entries and artifact references for tests. */
import type { ArtifactRef, ExecutorEntry } from "@murakkab/model";
import { artifactUri } from "@murakkab/model";

export function executorEntry(changes: Partial<ExecutorEntry> = {}): ExecutorEntry {
  return {
    id: "echo",
    version: "1",
    kind: "tool",
    capability: "echoing",
    description: "For tests.",
    keywords: [],
    inputs: { question: { type: "question" } },
    outputs: { answer: { type: "answer" } },
    knobs: {},
    engine: { kind: "function", function: "echo" },
    programs: [],
    resources: { cores: 1, memoryMib: 64 },
    timeLimitMs: 10_000,
    isPure: true,
    isDeterministic: true,
    provenance: { kind: "prior", note: "for tests" },
    ...changes,
  };
}

/** A reference whose hash ends in these two hex digits. */
export function artifactRef(lastDigits: string, mediaType = "image/png"): ArtifactRef {
  return { artifact: artifactUri(lastDigits.padStart(64, "0")), bytes: 10, mediaType };
}
