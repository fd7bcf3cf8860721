/**
 * One bootstrap at a time per checkout: a demo and a test run may be started together.
 *
 * Owns:      taking, keeping alive and giving back the lock directory; telling when it is stale.
 * Does not:  know what is done under the lock.
 *
 * A directory, because `mkdir` is atomic everywhere, also on network file systems. The holder
 * touches it every few seconds: a process id alone says nothing across containers that share the
 * checkout.
 */
import {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { cleanOnSignal } from "./run-program.mjs";

const TOUCH_INTERVAL_MS = 5_000;
/** A holder that did not touch the lock for this long is dead or suspended: six missed touches. */
const STALE_AFTER_MS = 30_000;
const POLL_INTERVAL_MS = 200;

function readOwner(directory) {
  try {
    return JSON.parse(readFileSync(join(directory, "owner.json"), "utf8"));
  } catch {
    return null; // being created or removed right now
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function isStale(directory) {
  const owner = readOwner(directory);
  if (owner !== null && owner.host === hostname() && !isAlive(owner.pid)) return true;
  try {
    return Date.now() - statSync(directory).mtimeMs > STALE_AFTER_MS;
  } catch {
    return false; // gone: the next attempt takes it
  }
}

/** Two waiters may see the same stale lock: whoever moved away a fresh one puts it back. */
function removeStale(directory) {
  const before = readOwner(directory);
  const aside = `${directory}.stale-${process.pid}`;
  try {
    renameSync(directory, aside);
  } catch {
    return; // somebody else was faster
  }
  const moved = readOwner(aside);
  if (moved?.token === before?.token) rmSync(aside, { recursive: true, force: true });
  else renameSync(aside, directory);
}

function tryTake(directory, token) {
  try {
    mkdirSync(directory);
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
  const owner = { pid: process.pid, host: hostname(), token };
  writeFileSync(join(directory, "owner.json"), JSON.stringify(owner));
  return true;
}

/** Runs `work` under the lock at `directory`; `onWait` is told once who holds it. */
export async function withLock(directory, work, { onWait }) {
  mkdirSync(dirname(directory), { recursive: true });
  const token = `${process.pid}-${Math.random().toString(36).slice(2)}`;
  let hasTold = false;
  while (!tryTake(directory, token)) {
    if (isStale(directory)) {
      removeStale(directory);
      continue;
    }
    if (!hasTold) onWait(readOwner(directory)?.pid);
    hasTold = true;
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
  const giveBack = () => {
    if (readOwner(directory)?.token === token) rmSync(directory, { recursive: true, force: true });
  };
  const forget = cleanOnSignal(giveBack);
  const touch = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(directory, now, now);
    } catch {
      // Removed by hand: the work under way goes on, it is idempotent.
    }
  }, TOUCH_INTERVAL_MS);
  try {
    return await work();
  } finally {
    clearInterval(touch);
    forget();
    giveBack();
  }
}
