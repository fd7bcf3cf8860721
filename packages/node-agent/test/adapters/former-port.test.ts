/** Goal: a restarted agent keeps its address where it can. Method: a real directory, a fake listener. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { onFormerPort } from "../../src/adapters/former-port.ts";
import { temporaryDir } from "../fixtures/temporary.ts";

function listener(taken: readonly number[] = []) {
  const asked: number[] = [];
  const listen = (port: number): Promise<{ port: number }> => {
    asked.push(port);
    if (taken.includes(port)) return Promise.reject(new Error("EADDRINUSE"));
    return Promise.resolve({ port: port === 0 ? 40_000 + asked.length : port });
  };
  return { asked, listen };
}

it("asks for the port of the last time, and for any when it is taken", async () => {
  const dir = temporaryDir();
  const { asked, listen } = listener();
  await onFormerPort({ dir, port: 0 }, listen);
  await onFormerPort({ dir, port: 0 }, listen);
  expect(asked).toEqual([0, 40_001]);
  const taken = listener([40_001]);
  await onFormerPort({ dir, port: 0 }, taken.listen);
  expect(taken.asked).toEqual([40_001, 0]);
  expect(readFileSync(join(dir, "artifact-port"), "utf8")).toBe("40002\n");
});

it("takes a port that was given, and is not misled by a damaged file", async () => {
  const dir = temporaryDir();
  const { asked, listen } = listener();
  await onFormerPort({ dir, port: 7_420 }, listen);
  writeFileSync(join(dir, "artifact-port"), "99999 nonsense");
  await onFormerPort({ dir, port: 0 }, listen);
  expect(asked).toEqual([7_420, 0]);
});
