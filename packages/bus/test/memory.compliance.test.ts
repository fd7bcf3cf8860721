import { busCompliance } from "../src/compliance/bus-compliance.ts";
import { MemoryBroker, SYSTEM_CLOCK } from "../src/index.ts";

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
    close: async () => undefined,
  };
});
