/** Goal: a host says what its profiles are kept for, or nothing. */
import { cpus } from "node:os";
import { describe, expect, test } from "vitest";
import { hostKind, LocalHost } from "../../src/adapters/local-host.ts";

describe("local host", () => {
  test.each([
    [
      "AMD EPYC 9654 96-Core Processor                ",
      { kind: "AMD EPYC 9654 96-Core Processor" },
    ],
    ["Intel(R)  Xeon(R)\tCPU", { kind: "Intel(R) Xeon(R) CPU" }],
    ["unknown", {}],
    ["  ", {}],
    [undefined, {}],
  ])("the processor's name %j", (model, kind) => {
    expect(hostKind(model)).toEqual(kind);
  });

  test("it is part of the identity", () => {
    const host = new LocalHost({ path: "/bin", extraPrograms: [], wallMs: () => 0 });
    expect(host.identity()).toMatchObject({ cores: cpus().length, ...hostKind(cpus()[0]?.model) });
  });
});
