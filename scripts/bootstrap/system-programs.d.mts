/** For tests: the scripts themselves are plain JavaScript. */
export function findNatsServer(): string | null;
export function findOnPath(name: string, directories?: readonly string[]): string | null;
