/**
 * Files that are there as a whole or not at all, also after a crash of the host.
 *
 * A write goes to a temporary file beside the target, is forced to the disk, and takes the
 * target's place by rename; the directory is forced too, because the rename is its content.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

export async function writeAtomically(path: string, data: string | Uint8Array): Promise<void> {
  const dir = dirname(path);
  await mkdir(dir, { recursive: true, mode: 0o700 }); // it may have been deleted while we ran
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Sets an unreadable file aside and gives its new path; a former one of that name is replaced. */
export async function quarantine(path: string): Promise<string> {
  const aside = `${path}.corrupt`;
  await rename(path, aside);
  return aside;
}
