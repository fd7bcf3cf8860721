/**
 * What is wrong with a library file, in words that point at the place.
 */
export interface LibraryProblem {
  /** Path as it was given, so that a terminal can open it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Dotted path of the field, such as `engine.args.3`; empty for the file as a whole. */
  readonly field: string;
  /** One sentence: what is there and what was expected. Never a secret. */
  readonly message: string;
  /** An entry with an error is not loaded; a warning is only told. */
  readonly severity: "error" | "warning";
}

/** One line for people: `library/x.yaml:7 engine.args.3: message`. */
export function formatProblem({ file, line, field, message, severity }: LibraryProblem): string {
  const where = field === "" ? `${file}:${line}` : `${file}:${line} ${field}`;
  return severity === "error" ? `${where}: ${message}` : `${where}: warning: ${message}`;
}
