/** Goal: I1: a second copy on another host, or a sentence that there is none. */
import { MemoryBroker, serve } from "@murakkab/bus";
import { SILENT_LOGGER, TerminalError } from "@murakkab/kit";
import { artifactUri } from "@murakkab/model";
import { subjects } from "@murakkab/protocol";
import { VirtualClock } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { Fleet } from "../src/fleet.ts";
import { InputCopier } from "../src/input-copier.ts";
import { registrationOf } from "./fleet-builder.ts";

const artifact = { artifact: artifactUri("a".repeat(64)), bytes: 4, mediaType: "video/mp4" };
const media = { type: "video", hasAudio: true, hasPictures: true, durationSec: 1 } as const;

function bench(nodes: Readonly<Record<string, string>>, refusing: readonly string[] = []) {
  const clock = new VirtualClock();
  const { messaging } = new MemoryBroker({ clock }).connect();
  const fleet = new Fleet(clock);
  const asked: { readonly node: string; readonly holders: unknown }[] = [];
  for (const [node, machineId] of Object.entries(nodes)) {
    fleet.register(registrationOf(node, { machineId, offer: { cpus: 1, memoryMib: 64 } }));
    const subject = subjects.artifactCopy(node);
    serve(
      messaging,
      { subject, schema: z.any(), what: "copy", onDefect: () => undefined },
      (it) => {
        asked.push({ node, holders: it.artifact.holders });
        if (refusing.includes(node)) throw new TerminalError("STORE_FULL", "no room");
        return { artifact, media };
      },
    );
  }
  const copier = new InputCopier({ fleet, messaging, log: SILENT_LOGGER });
  const copy = (holders: readonly string[]) =>
    copier.copy([{ source: "clip.mp4", artifact, media, holders }], "job");
  return { asked, copy };
}

describe("input copier", () => {
  test("one host: nothing is copied, and nothing is said", async () => {
    const { asked, copy } = bench({ n1: "one", n2: "one" });
    const { resolved, notes } = await copy(["n1"]);
    expect([resolved[0]?.holders, notes, asked]).toEqual([["n1"], [], []]);
  });

  test("two hosts: another host's agent fetches it from who has it", async () => {
    const { asked, copy } = bench({ n1: "one", n2: "one", n3: "two" });
    const { resolved, notes } = await copy(["n1"]);
    expect([resolved[0]?.holders, notes]).toEqual([["n1", "n3"], []]);
    expect(asked).toEqual([{ node: "n3", holders: [{ node: "n1", url: "http://n1:1" }] }]);
  });

  test("what lies on two hosts already is left", async () => {
    const { asked, copy } = bench({ n1: "one", n3: "two" });
    const { resolved } = await copy(["n1", "n3"]);
    expect([resolved[0]?.holders, asked]).toEqual([["n1", "n3"], []]);
  });

  test("a host that refuses is passed over; when all do, the answer says so", async () => {
    const some = bench({ n1: "one", n2: "two", n3: "three" }, ["n2"]);
    expect((await some.copy(["n1"])).resolved[0]?.holders).toEqual(["n1", "n3"]);
    const none = bench({ n1: "one", n2: "two", n3: "three" }, ["n2", "n3"]);
    const { resolved, notes } = await none.copy(["n1"]);
    expect(resolved[0]?.holders).toEqual(["n1"]);
    expect(notes).toEqual(['input "clip.mp4" is on one host only: no other host could copy it']);
    expect(none.asked).toHaveLength(2);
  });
});
