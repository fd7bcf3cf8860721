/**
 * The port that the artifact server of the last agent on this directory had, when it could have any:
 * others know its artifacts by that address, and a restart should not make them look lost.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const PORT_FILE = "artifact-port";

/** Runs `listen` on the former port, or on `port` when that is fixed or the former one is taken. */
export async function onFormerPort<T extends { readonly port: number }>(
  { dir, port }: { readonly dir: string; readonly port: number },
  listen: (port: number) => Promise<T>,
): Promise<T> {
  if (port !== 0) return listen(port);
  const former = readPort(join(dir, PORT_FILE));
  const server = former === null ? await listen(0) : await listen(former).catch(() => listen(0));
  writeFileSync(join(dir, PORT_FILE), `${server.port}\n`, { mode: 0o600 });
  return server;
}

function readPort(path: string): number | null {
  try {
    const port = Number(readFileSync(path, "utf8"));
    return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : null;
  } catch {
    return null; // the first agent here
  }
}
