/** For the test of it: the scripts themselves are plain JavaScript. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly rule: "R0" | "R1" | "R2" | "R3" | "R4";
  readonly message: string;
}
export function checkImports(root: string): {
  readonly fileCount: number;
  readonly findings: readonly Finding[];
};
export function isPureFile(file: string): boolean;
