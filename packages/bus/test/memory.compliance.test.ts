import { MemoryBroker } from "../src/index.ts";
import { SYSTEM_CLOCK } from "../src/nats/index.ts";
import { busCompliance } from "./compliance/bus-compliance.ts";

busCompliance("memory", async () => {
  const broker = new MemoryBroker({ clock: SYSTEM_CLOCK }, { onDefect: () => undefined });
  return {
    connect: async (name) => broker.connect(name),
    stopServer: async () => {
      broker.stop();
    },
    startServer: async () => {
      broker.start();
    },
    deleteStore: async (kind, name) => {
      if (kind === "bucket") broker.store.deleteBucket(name);
      else broker.store.deleteLog(name);
    },
    close: async () => undefined,
  };
});
