/** Artifacts as files: what is on the disk after writes, failures, restarts. */
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FileBlobs } from "../../src/adapters/file-blobs.ts";
import { hashOf, streamOf } from "../fakes/memory-blobs.ts";
import { temporaryDir } from "../fixtures/temporary.ts";

const free = (): Promise<void> => Promise.resolve();

async function blobsIn(dir: string) {
  const blobs = new FileBlobs({ dir });
  const found = await blobs.recover();
  return { blobs, found, temporary: () => readdirSync(join(dir, "tmp")) };
}

describe("file blobs", () => {
  it("writes, commits, and finds it again after a restart with type and name", async () => {
    const dir = temporaryDir();
    const { blobs, temporary } = await blobsIn(dir);
    const staged = await blobs.write(streamOf("hel", "lo"), free);
    expect(staged).toMatchObject({ hash: hashOf("hello"), bytes: 5 });
    await staged.commit({ mediaType: "text/plain", name: "a.txt" });
    expect(readFileSync(blobs.pathOf(staged.hash), "utf8")).toBe("hello");
    expect(statSync(blobs.pathOf(staged.hash)).mode & 0o222).toBe(0);
    expect(temporary()).toEqual([]);
    writeFileSync(join(dir, "tmp", "partial"), "half");
    const again = await blobsIn(dir);
    expect(again.found).toEqual([
      { hash: hashOf("hello"), bytes: 5, mediaType: "text/plain", name: "a.txt" },
    ]);
    expect(again.temporary()).toEqual([]);
    expect(await again.blobs.verify(staged.hash)).toBe(true);
    await again.blobs.remove(staged.hash);
    expect(await again.blobs.verify(staged.hash)).toBe(false);
    expect((await blobsIn(dir)).found).toEqual([]);
  });

  it("leaves nothing of a write that failed or was discarded", async () => {
    const { blobs, temporary } = await blobsIn(temporaryDir());
    const broken = (async function* () {
      yield Buffer.from("half");
      throw new Error("connection lost");
    })();
    await expect(blobs.write(broken, free)).rejects.toThrow("connection lost");
    const refused = blobs.write(streamOf("x"), () => Promise.reject(new Error("full")));
    await expect(refused).rejects.toThrow("full");
    await (await blobs.write(streamOf("y"), free)).discard();
    expect(temporary()).toEqual([]);
  });

  it("moves a file in, copies one that has another name, and leaves it when there is no room", async () => {
    const dir = temporaryDir();
    const { blobs } = await blobsIn(join(dir, "store"));
    const scratch = join(dir, "scratch");
    mkdirSync(scratch);
    const file = (name: string): string => {
      writeFileSync(join(scratch, name), name);
      return join(scratch, name);
    };
    const full = blobs.adopt(file("kept"), () => Promise.reject(new Error("full")));
    await expect(full).rejects.toThrow("full");
    expect(readdirSync(scratch)).toEqual(["kept"]);
    const kept = await blobs.adopt(join(scratch, "kept"), free);
    expect(readdirSync(scratch)).toEqual(["kept"]); // F3: an agent lost now has lost nothing
    await kept.commit({ mediaType: "a/b" });
    linkSync(file("linked"), join(dir, "other-name"));
    const linked = await blobs.adopt(join(scratch, "linked"), free);
    await linked.commit({ mediaType: "a/b" });
    writeFileSync(join(dir, "other-name"), "CHANGED");
    expect(readFileSync(blobs.pathOf(linked.hash), "utf8")).toBe("linked");
    expect(readdirSync(scratch)).toEqual([]);
  });

  it("F4: makes its directories again when they were deleted", async () => {
    const dir = join(temporaryDir(), "store");
    const { blobs } = await blobsIn(dir);
    const first = await blobs.write(streamOf("one"), free);
    await first.commit({ mediaType: "a/b" });
    expect(await blobs.has(first.hash)).toBe(true);
    rmSync(dir, { recursive: true });
    expect(await blobs.has(first.hash)).toBe(false);
    const second = await blobs.write(streamOf("one"), free);
    await second.commit({ mediaType: "a/b" });
    expect(await blobs.has(first.hash)).toBe(true);
    rmSync(dir, { recursive: true });
    const source = join(dir, "..", "file");
    writeFileSync(source, "two");
    await (await blobs.adopt(source, free)).commit({ mediaType: "a/b" });
    expect(existsSync(source)).toBe(false);
  });
});
