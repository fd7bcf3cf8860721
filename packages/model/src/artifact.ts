/**
 * References to large values. A value on the wire never carries the bytes of a file: it carries
 * `{ artifact, bytes, mediaType }`, and who needs the bytes fetches them from a holder.
 */
import { InvalidArgumentError } from "@murakkab/kit";

export interface ArtifactRef {
  /** `artifact://sha256/<64 hex digits>`: the content's own hash, so that a reference never lies. */
  readonly artifact: string;
  readonly bytes: number;
  readonly mediaType: string;
  /** The name that the user's file had, for messages. */
  readonly name?: string;
}

/** An artifact and the nodes that hold a copy. */
export interface ArtifactLocation extends ArtifactRef {
  readonly holders: readonly ArtifactHolder[];
}

export interface ArtifactHolder {
  readonly node: string;
  /** Base URL of the holder's artifact server, such as `http://10.0.0.5:7420`. */
  readonly url: string;
}

const ARTIFACT_PATTERN = /^artifact:\/\/sha256\/([0-9a-f]{64})$/;

export function artifactUri(sha256Hex: string): string {
  return `artifact://sha256/${sha256Hex}`;
}

/** The hash in a reference. Errors: `INVALID_ARGUMENT` when the text is no reference. */
export function artifactHash(uri: string): string {
  const match = ARTIFACT_PATTERN.exec(uri);
  if (match?.[1] === undefined) {
    throw new InvalidArgumentError(
      `artifact reference "${uri}" is not valid, expected artifact://sha256/ and 64 hex digits`,
    );
  }
  return match[1];
}

export function isArtifactUri(text: string): boolean {
  return ARTIFACT_PATTERN.test(text);
}

export function isArtifactRef(value: unknown): value is ArtifactRef {
  if (value === null || typeof value !== "object") return false;
  const candidate = value as { artifact?: unknown; bytes?: unknown; mediaType?: unknown };
  return (
    typeof candidate.artifact === "string" &&
    isArtifactUri(candidate.artifact) &&
    typeof candidate.bytes === "number" &&
    typeof candidate.mediaType === "string"
  );
}

/** Every reference inside a JSON value, each hash once, in order of appearance. */
export function collectArtifactRefs(value: unknown): ArtifactRef[] {
  const found = new Map<string, ArtifactRef>();
  const visit = (node: unknown): void => {
    if (isArtifactRef(node)) {
      if (!found.has(node.artifact)) found.set(node.artifact, node);
    } else if (Array.isArray(node)) {
      for (const item of node) visit(item);
    } else if (node !== null && typeof node === "object") {
      for (const item of Object.values(node)) visit(item);
    }
  };
  visit(value);
  return [...found.values()];
}
