/** The embedded bus: a nats-server with JetStream on a free port of the loopback interface. */
import { startNatsServer } from "@murakkab/bus/nats-server";
import type { DataDir } from "./data-dir.ts";
import { rootPath } from "./process-paths.ts";

export interface EmbeddedBus {
  readonly url: string;
  /** Resolves with a sentence when the server ends without being asked to. */
  readonly died: Promise<string>;
  stop(): Promise<void>;
}

export async function startEmbeddedBus(
  dataDir: DataDir,
  env: NodeJS.ProcessEnv,
): Promise<EmbeddedBus> {
  let tellDeath: (reason: string) => void = () => undefined;
  const died = new Promise<string>((resolve) => {
    tellDeath = resolve;
  });
  const binary = env["MURAKKAB_NATS_SERVER"];
  const server = await startNatsServer({
    directory: dataDir.sub("nats"),
    projectDirectory: rootPath("."),
    ...(binary === undefined || binary === "" ? {} : { binary }),
    onExit: ({ code, signal, lastLogLines }) => {
      const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
      tellDeath([how, ...lastLogLines.slice(-1)].join(", "));
    },
  });
  return { url: server.url, died, stop: () => server.stop() };
}
