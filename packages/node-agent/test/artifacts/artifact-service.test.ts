/** Import, open, ingest, stat and pin over fake ports and virtual time. */
import { InvalidArgumentError, NotFoundError, RetryableError, SILENT_LOGGER } from "@murakkab/kit";
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

  it("V4: calls it lost at once when every holder says so, or there is none", async () => {
    const { service, clock } = serviceOf({
      fetcher: {
        fetch: ({ node }) =>
          node === "liar"
            ? Promise.resolve(streamOf("evil"))
            : Promise.reject(new NotFoundError("no longer here")),
      },
    });
    const open = (nodes: string[]) =>
      service.open({ jobId: "j", artifact: located("hello", nodes), remainingMs: 60_000 });
    for (const holders of [[], ["here"], ["liar"], ["gone", "liar", "here"]]) {
      await expect(open(holders)).rejects.toMatchObject({
        code: "ARTIFACT_LOST",
        kind: "retryable",
        context: { artifact: artifactUri(hashOf("hello")) },
      });
    }
    expect(clock.monotonicMs()).toBe(0);
  });

  it("V4: waits for holders that are out of reach, but not for ever", async () => {
    let isBack = false;
    const asked: string[] = [];
    const { service, clock } = serviceOf({
      fetcher: {
        fetch: ({ node }) => {
          asked.push(node);
          if (node === "gone") return Promise.reject(new NotFoundError("no longer here"));
          if (isBack) return Promise.resolve(streamOf("hello"));
          return Promise.reject(new RetryableError("FETCH_FAILED", "ECONNREFUSED"));
        },
      },
    });
    const outcomeOf = async (): Promise<string> => {
      let outcome = "";
      const artifact = located("hello", ["gone", "away"]);
      void service.open({ jobId: "j", artifact, remainingMs: 60_000 }).then(
        ({ path }) => (outcome = path),
        (error: { code: string }) => (outcome = error.code),
      );
      await clock.runUntil(() => outcome !== "");
      return outcome;
    };
    expect(await outcomeOf()).toBe("ARTIFACT_LOST");
    expect(clock.monotonicMs()).toBe(3_000);
    expect(asked.filter((node) => node === "gone")).toHaveLength(1);
    expect(asked.filter((node) => node === "away").length).toBeGreaterThan(3);
    clock.after(1_000, () => (isBack = true));
    expect(await outcomeOf()).toBe(`/blobs/${hashOf("hello")}`);
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

describe("copy", () => {
  it("fetches from a holder, answers the reference and pins for as long as told", async () => {
    const { service, store, clock } = serviceOf({
      fetcher: { fetch: () => Promise.resolve(streamOf("hello")) },
    });
    const request = { jobId: "j", artifact: located("hello", ["far"]), remainingMs: 1_000 };
    const { artifact } = await service.copy({ ...request, holdMs: 600_000 });
    expect(artifact).toMatchObject({ artifact: artifactUri(hashOf("hello")), bytes: 5 });
    clock.after(599_000, () => undefined);
    await clock.runUntil(() => clock.monotonicMs() === 599_000);
    expect(store.isPinned(hashOf("hello"))).toBe(true);
  });
});

describe("A6: a disk that loses files while the agent runs", () => {
  it("is asked as if they had never been here, and takes them again", async () => {
    const { service, store, blobs } = serviceOf({
      fetcher: { fetch: () => Promise.resolve(streamOf("hello")) },
    });
    const request = { jobId: "j", artifact: located("hello", ["far"]), remainingMs: 1_000 };
    await service.open(request);
    blobs.blobs.clear();
    const uri = artifactUri(hashOf("hello"));
    expect(await service.pin({ jobId: "j", artifacts: [uri], holdMs: 1_000 })).toEqual({
      missing: [uri],
    });
    expect(store.storedBytes).toBe(0);
    await service.open(request);
    blobs.blobs.clear();
    expect(await service.stat({ artifact: uri, probe: false })).toMatchObject({ artifact: null });
    await service.open(request);
    blobs.blobs.clear();
    expect(await service.open(request)).toEqual({ path: `/blobs/${hashOf("hello")}` });
    expect(blobs.blobs.size).toBe(1);
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
    expect(await service.pin({ jobId: "j", artifacts: [unknown], holdMs: 1 })).toEqual({
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
