/**
 * One suite for all adapters of the bus ports.
 *
 * A new adapter calls this from its test file with a way to connect and a way to end its server.
 */
import { afterAll, beforeAll, describe } from "vitest";
import { deletionCompliance } from "./deletion-compliance.ts";
import { journalCompliance } from "./journal-compliance.ts";
import { messagingCompliance } from "./messaging-compliance.ts";
import { outageCompliance } from "./outage-compliance.ts";
import { stateCompliance } from "./state-compliance.ts";
import { streamCompliance } from "./stream-compliance.ts";
import type { TestBus } from "./test-bus.ts";

export function busCompliance(adapter: string, make: () => Promise<TestBus>): void {
  describe(`${adapter} keeps the bus contract`, () => {
    let testBus: TestBus | null = null;
    const current = (): TestBus => {
      if (testBus === null) throw new Error("the server is not started");
      return testBus;
    };
    beforeAll(async () => {
      testBus = await make();
    });
    afterAll(async () => {
      await testBus?.close();
    });
    describe("messaging", () => {
      messagingCompliance(current);
    });
    describe("streams and services", () => {
      streamCompliance(current);
    });
    describe("state", () => {
      stateCompliance(current);
    });
    describe("journal", () => {
      journalCompliance(current);
    });
    describe("deleted stores", () => {
      deletionCompliance(current);
    });
    describe("outage", () => {
      outageCompliance(current);
    });
  });
}
