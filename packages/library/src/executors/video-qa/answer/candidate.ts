/**
 * One possible answer, and how times and evidence are written.
 */
import type { Answer, Evidence } from "../values.ts";
import type { SceneFacts, Unit } from "./timeline.ts";

export interface Candidate {
  readonly text: string;
  /** In [0, 1]. */
  readonly confidence: number;
  readonly evidence: readonly Evidence[];
}

export function evidenceOf(unit: Unit): Evidence {
  return { source: unit.source, atSec: roundSec(unit.atSec), text: unit.text };
}

export function pictureEvidence(scene: SceneFacts, text: string): Evidence {
  return { source: "picture", atSec: roundSec(scene.peopleAtSec), text };
}

export function candidate(
  text: string,
  confidence: number,
  evidence: readonly Evidence[],
): Candidate | undefined {
  const trimmed = text.trim();
  return trimmed === ""
    ? undefined
    : { text: trimmed, confidence: Math.min(1, confidence), evidence };
}

export const NOT_FOUND: Answer = { text: "not found", found: false, confidence: 0, evidence: [] };

/** As "0:07" or "1:02:03". */
export function formatClock(sec: number): string {
  const whole = Math.floor(sec);
  const [hours, minutes, seconds] = [
    Math.floor(whole / 3600),
    Math.floor((whole % 3600) / 60),
    whole % 60,
  ];
  const tail = `${String(seconds).padStart(2, "0")}`;
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

function roundSec(sec: number): number {
  return Math.round(sec * 100) / 100;
}
