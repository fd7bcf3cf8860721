import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectNats } from "../src/nats/index.ts";
import { startNatsServer } from "../src/nats/server-entry.ts";
import { busCompliance } from "./compliance/bus-compliance.ts";

busCompliance("nats", async () => {
  const directory = await mkdtemp(join(tmpdir(), "murakkab-compliance-"));
  const server = await startNatsServer({ directory });
  return {
    connect: (name) =>
      connectNats({
        servers: server.url,
        stateTimeoutMs: 3_000,
        onDefect: () => undefined,
        ...(name === undefined ? {} : { name }),
      }),
    stopServer: () => server.stop(),
    startServer: () => server.restart(),
    deleteStore: async (kind, name) => {
      const bus = await connectNats({ servers: server.url });
      const stream = kind === "bucket" ? `KV_${name}` : name;
      const subject = `$JS.API.STREAM.DELETE.${stream}`;
      await bus.messaging.request(subject, new Uint8Array(0), { timeoutMs: 5_000 });
      await bus.close();
    },
    close: async () => {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
});
