/**
 * Installs system packages with apt-get, where that needs no question to anyone.
 *
 * Owns:      when apt-get may be used, the calls of it, and that no service gets started.
 * Does not:  know which program comes from which package.
 *
 * Debian's nats-server package brings a service that listens on port 4222. The runtime starts a
 * server of its own when it needs one, so a second one that nobody asked for must not run: while
 * packages are installed, a policy-rc.d file (Debian's hook for that purpose) refuses to start
 * this one service, and afterwards it is disabled, so that it does not start at the next boot
 * either. `systemctl enable --now nats-server` turns it on again.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { capture, cleanOnSignal } from "./run-program.mjs";

const POLICY_FILE = "/usr/sbin/policy-rc.d";
const LISTS_DIRECTORY = "/var/lib/apt/lists";
/** Refuses one service only: a file that a killed script left behind does no other harm. */
const POLICY = `#!/bin/sh
# Written by murakkab's bootstrap while it installs packages; safe to delete.
case "$1" in nats-server|nats-server.service) exit 101 ;; esac
exit 0
`;
/** ffmpeg with all its libraries is some 100 MB; another apt-get may hold the lock meanwhile. */
const APT_TIMEOUT_MS = 20 * 60_000;
const APT_LOCK_WAIT_SEC = 300;

/** Whether apt-get can be used without a password: `{ kind, sudo }` or `{ kind, reason }`. */
export async function mayUseApt() {
  const denied = (reason) => ({ kind: "denied", reason });
  if (process.env.MURAKKAB_NO_INSTALL) return denied("MURAKKAB_NO_INSTALL is set");
  if (process.platform !== "linux") return denied("only done on Debian and Ubuntu");
  let release = "";
  try {
    release = readFileSync("/etc/os-release", "utf8");
  } catch {
    // No such file: not Debian.
  }
  if (!/^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release) || !existsSync("/usr/bin/apt-get")) {
    return denied("only done on Debian and Ubuntu");
  }
  if (process.getuid() === 0) return { kind: "allowed", sudo: [] };
  const sudo = await capture("sudo", ["-n", "true"], { timeoutMs: 10_000 });
  if (sudo.code === 0) return { kind: "allowed", sudo: ["sudo", "-n"] };
  return denied("you are not root and sudo asks for a password");
}

async function withPolicy(sudo, work) {
  // Containers often refuse all services already; that file is theirs.
  if (existsSync(POLICY_FILE)) return await work();
  const directory = mkdtempSync(join(tmpdir(), "murakkab-policy-"));
  const draft = join(directory, "policy-rc.d");
  writeFileSync(draft, POLICY, { mode: 0o755 });
  const asRoot = ([command, ...args]) => capture(...splitCommand([...sudo, command, ...args]));
  const forget = cleanOnSignal(() =>
    spawnSync(...splitCommand([...sudo, "rm", "-f", POLICY_FILE])),
  );
  try {
    await asRoot(["install", "-m", "755", draft, POLICY_FILE]);
    return await work();
  } finally {
    forget();
    await asRoot(["rm", "-f", POLICY_FILE]);
    rmSync(directory, { recursive: true, force: true });
  }
}

function splitCommand([command, ...args]) {
  return [command, args];
}

/** The packages that apt-get knows in some version. */
async function installable(packages) {
  const { stdout } = await capture("apt-cache", ["policy", ...packages], {
    env: { ...process.env, LC_ALL: "C" },
    timeoutMs: 60_000,
  });
  const known = new Set();
  let name = "";
  for (const line of stdout.split("\n")) {
    if (/^\S+:$/.test(line)) name = line.slice(0, -1);
    else if (/^\s+Candidate: (?!\(none\))/.test(line)) known.add(name);
  }
  return packages.filter((it) => known.has(it));
}

function hasLists() {
  try {
    return readdirSync(LISTS_DIRECTORY).some(
      (name) => name.endsWith("_Packages") || name.includes("_Packages."),
    );
  } catch {
    return false;
  }
}

/**
 * Installs what it can of `packages`. Does not throw: the caller looks for the programs again
 * and knows which of them it can do without.
 */
export async function aptInstall(packages, { say, isVerbose, sudo }) {
  const apt = async (...args) => {
    const before = ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get"];
    const options = ["-o", `DPkg::Lock::Timeout=${APT_LOCK_WAIT_SEC}`, "-q"];
    const [command, rest] = splitCommand([...sudo, ...before, ...options, ...args]);
    return await capture(command, rest, {
      timeoutMs: APT_TIMEOUT_MS,
      mayNotBeInterrupted: true,
      ...(isVerbose ? { onOutput: (chunk) => process.stderr.write(chunk) } : {}),
    });
  };
  let hasUpdated = false;
  const update = async () => {
    hasUpdated = true;
    say("apt-get update");
    await apt("update");
  };
  if (!hasLists()) await update();
  let known = await installable(packages);
  if (known.length < packages.length && !hasUpdated) {
    await update();
    known = await installable(packages);
  }
  const unknown = packages.filter((name) => !known.includes(name));
  if (unknown.length > 0) say(`apt-get does not know ${unknown.join(", ")}`);
  if (known.length === 0) return;
  say(`apt-get install ${known.join(" ")}`);
  const install = async () => await apt("install", "-y", "--no-install-recommends", ...known);
  const result = await withPolicy(sudo, async () => {
    const first = await install();
    // Old package lists name versions that the mirror no longer has.
    if (first.code === 0 || hasUpdated) return first;
    await update();
    return await install();
  });
  if (result.code !== 0) {
    const lines = `${result.stdout}\n${result.stderr}`.split("\n");
    say(
      `apt-get failed: ${lines.find((line) => line.startsWith("E:")) ?? result.error ?? result.code}`,
    );
    return;
  }
  if (known.includes("nats-server") && existsSync("/run/systemd/system")) {
    await capture(...splitCommand([...sudo, "systemctl", "disable", "--now", "nats-server"]));
    say("the nats-server service of the package stays off; the runtime starts its own server");
  }
}
