/** Import, open, ingest, stat and pin over fake ports and virtual time. */
import { InvalidArgumentError, SILENT_LOGGER } from "@murakkab/kit";
import { artifactUri } from "@murakkab/model";
import { describe, expect, it } from "vitest";
import { settle, VirtualClock } from "../../../testkit/src/virtual-clock.ts";
import type { ArtifactComponents } from "../../src/artifacts/artifact-service.ts";
import { ArtifactService } from "../../src/artifacts/artifact-service.ts";
import { ArtifactStore } from "../../src/artifacts/artifact-store.ts";
import { hashOf, MemoryBlobs, streamOf } from "../fakes/memory-blobs.ts";

function serviceOf(changes: Partial<ArtifactComponents> = {}) {
  const clock = new VirtualClock();
  const blobs = new MemoryBlobs();
  const store = new ArtifactStore({ clock, blobs }, { limitBytes: 100 });
  const never = (): never => {
    throw new Error("not needed here");
  };
  const service = new ArtifactService(
    {
      clock,
      log: SILENT_LOGGER,
      store,
      source: { open: never },
      fetcher: { fetch: never },
      probe: { probe: never },
      paths: { resolveBelow: never },
      scratchDirs: () => [],
      ...changes,
    },
    { node: "here" },
  );
  return { clock, blobs, store, service };
}

function located(content: string, nodes: readonly string[]) {
  return {
    artifact: artifactUri(hashOf(content)),
    bytes: content.length,
    mediaType: "text/plain",
    holders: nodes.map((node) => ({ node, url: `http://${node}` })),
  };
}

describe("open", () => {
  it("fetches once, however many wait, and pins for every job", async () => {
    let fetchCount = 0;
    const { service, store } = serviceOf({
      fetcher: {
        fetch: async () => {
          fetchCount += 1;
          await settle();
          return streamOf("hello");
        },
      },
    });
    const open = (jobId: string) =>
      service.open({ jobId, artifact: located("hello", ["far"]), remainingMs: 1_000 });
    const paths = await Promise.all([open("j1"), open("j2"), open("j3")]);
    expect(fetchCount).toBe(1);
    expect(new Set(paths.map(({ path }) => path))).toEqual(new Set([`/blobs/${hashOf("hello")}`]));
    store.release("j1");
    store.release("j2");
    expect(store.isPinned(hashOf("hello"))).toBe(true);
  });

  it("goes to the next holder when one lies or fails, and never to itself", async () => {
    const asked: string[] = [];
    const { service } = serviceOf({
      fetcher: {
        fetch: ({ node }) => {
          asked.push(node);
          if (node === "down") return Promise.reject(new InvalidArgumentError("refused"));
          return Promise.resolve(streamOf(node === "liar" ? "evil" : "hello"));
        },
      },
    });
    const artifact = located("hello", ["here", "down", "liar", "honest"]);
    await service.open({ jobId: "j", artifact, remainingMs: 1_000 });
    expect(asked).toEqual(["down", "liar", "honest"]);
  });

  it("says when nobody has it, and when nobody could serve it", async () => {
    const { service } = serviceOf({
      fetcher: { fetch: () => Promise.resolve(streamOf("evil")) },
    });
    const open = (nodes: string[]) =>
      service.open({ jobId: "j", artifact: located("hello", nodes), remainingMs: 1_000 });
    await expect(open(["here"])).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(open(["liar"])).rejects.toMatchObject({
      code: "ARTIFACT_UNAVAILABLE",
      kind: "retryable",
    });
  });

  it("stops waiting when the attempt's time is up", async () => {
    const { clock, service } = serviceOf({
      fetcher: { fetch: () => new Promise(() => undefined) },
    });
    const outcome = service
      .open({ jobId: "j", artifact: located("hello", ["slow"]), remainingMs: 700 })
      .catch((error: { code: string }) => error.code);
    let code: unknown = null;
    void outcome.then((value) => {
      code = value;
    });
    await clock.runUntil(() => code !== null);
    expect(code).toBe("TIMEOUT");
    expect(clock.monotonicMs()).toBe(700);
  });
});

describe("ingest", () => {
  it("takes a file below a live instance's scratch directory and nothing else", async () => {
    const { service, blobs, store } = serviceOf({
      scratchDirs: () => ["/scratch/i1"],
      paths: {
        resolveBelow: (root, path) => Promise.resolve(path.startsWith(`${root}/`) ? path : null),
      },
    });
    blobs.files.set("/scratch/i1/out.wav", Buffer.from("sound"));
    const request = { jobId: "j", mediaType: "audio/wav" };
    const { artifact } = await service.ingest({ ...request, path: "/scratch/i1/out.wav" });
    expect(artifact).toEqual({
      artifact: artifactUri(hashOf("sound")),
      bytes: 5,
      mediaType: "audio/wav",
    });
    expect(store.isPinned(hashOf("sound"))).toBe(true);
    expect(blobs.files.size).toBe(0);
    await expect(service.ingest({ ...request, path: "/etc/shadow" })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});

describe("import and stat", () => {
  it("imports, pins, and probes once", async () => {
    let probeCount = 0;
    const { service, store } = serviceOf({
      source: {
        open: () =>
          Promise.resolve({
            bytes: 4,
            mediaType: "video/mp4",
            name: "a.mp4",
            stream: streamOf("film"),
          }),
      },
      probe: {
        probe: () => {
          probeCount += 1;
          return Promise.resolve({
            media: { type: "file", hasAudio: false, hasPictures: false, durationSec: null },
            problem: "file {name} is not a media file that ffprobe can read",
          });
        },
      },
    });
    const { artifact } = await service.import({ jobId: "j", source: "a.mp4", remainingMs: 1_000 });
    expect(store.isPinned(hashOf("film"))).toBe(true);
    const stat = () => service.stat({ artifact: artifact.artifact, probe: true });
    expect(await stat()).toMatchObject({
      artifact: { name: "a.mp4" },
      media: { type: "file" },
      problem: "file a.mp4 is not a media file that ffprobe can read",
    });
    expect(await stat()).toEqual(await stat());
    expect(probeCount).toBe(1);
    const unknown = artifactUri(hashOf("?"));
    expect(await service.stat({ artifact: unknown, probe: true })).toEqual({
      artifact: null,
      media: null,
    });
    expect(service.pin({ jobId: "j", artifacts: [unknown], holdMs: 1 })).toEqual({
      missing: [unknown],
    });
  });

  it("refuses by the announced size before anything is read", async () => {
    const { service, blobs } = serviceOf({
      source: {
        open: () =>
          Promise.resolve({ bytes: 101, mediaType: "a/b", name: "big", stream: streamOf("x") }),
      },
    });
    const imported = service.import({ jobId: "j", source: "big", remainingMs: 1_000 });
    await expect(imported).rejects.toMatchObject({ code: "ARTIFACT_TOO_LARGE" });
    expect(blobs.blobs.size).toBe(0);
  });
});
