/**
 * Installs the npm packages of the workspace from the lock file, only when needed.
 *
 * Owns:      which pnpm is called and how, the stamp that says what is installed.
 * Does not:  change the lock file.
 *
 * Modes: `runtime` = run-time packages and the compiler (the root's `dependencies`), `all` = also
 * the tools of the checks. What is installed never shrinks: `runtime` after `all` keeps `all`,
 * so that running the demo between two test runs costs nothing.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capture, ScriptError } from "./run-program.mjs";

const STAMP = "node_modules/.murakkab-install.json";
/** A cold install of everything takes under a minute on a slow line; a hung registry takes for ever. */
const INSTALL_TIMEOUT_MS = 15 * 60_000;

/** The workspace's packages as pnpm-workspace.yaml lists them, relative to the root. */
export function packageDirectories(root) {
  const rooms = readdirSync(join(root, "packages")).map((name) => `packages/${name}`);
  return [...rooms.sort((a, b) => (a < b ? -1 : 1)), "bench"].filter((directory) =>
    existsSync(join(root, directory, "package.json")),
  );
}

/** Changes when any input of an install changes. */
export function installDigest(root) {
  const files = ["pnpm-lock.yaml", "pnpm-workspace.yaml", ".npmrc", "package.json"];
  for (const directory of packageDirectories(root)) files.push(`${directory}/package.json`);
  const hash = createHash("sha256").update(`${process.platform}-${process.arch}`);
  for (const file of files) {
    const path = join(root, file);
    if (existsSync(path)) hash.update(`\n${file}\n`).update(readFileSync(path));
  }
  return hash.digest("hex");
}

function readStamp(root) {
  try {
    return JSON.parse(readFileSync(join(root, STAMP), "utf8"));
  } catch {
    return null;
  }
}

/** Dev packages are there, installed by us or by hand. */
function hasDevPackages(root) {
  try {
    const modules = readFileSync(join(root, "node_modules/.modules.yaml"), "utf8");
    return /"?devDependencies"?:\s*true/.test(modules);
  } catch {
    return false;
  }
}

export function isInstalled(root, mode) {
  const stamp = readStamp(root);
  if (stamp === null || stamp.digest !== installDigest(root)) return false;
  return stamp.mode === "all" || stamp.mode === mode;
}

/** The pinned pnpm: the one on PATH when it is that very version, else through npx. */
async function findPnpm(root, version) {
  const onPath = await capture("pnpm", ["--version"], {
    cwd: root,
    // Corepack's shim must not ask whether it may download.
    env: { ...process.env, COREPACK_ENABLE_DOWNLOAD_PROMPT: "0" },
    timeoutMs: 20_000,
  });
  if (onPath.code === 0 && onPath.stdout.trim() === version) return ["pnpm"];
  return ["npx", "-y", `pnpm@${version}`];
}

function pinnedVersion(root) {
  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const match = /^pnpm@(\d+\.\d+\.\d+)/.exec(packageManager ?? "");
  if (match === null) {
    throw new ScriptError(
      `package.json must pin pnpm in "packageManager", found ${packageManager}`,
    );
  }
  return match[1];
}

function explainFailure(result, commandLine) {
  const output = `${result.stdout}\n${result.stderr}`;
  const detail = output.trim().split("\n").slice(-15).join("\n");
  if (output.includes("ERR_PNPM_OUTDATED_LOCKFILE")) {
    return new ScriptError(
      "pnpm-lock.yaml does not match the package.json files: run " +
        `\`${commandLine.replace(/ install.*/, " install")}\` and keep the new lock file`,
      { detail },
    );
  }
  const reason = result.error ?? output.split("\n").find((it) => /ERR_|npm error|ERR!/.test(it));
  return new ScriptError(
    `packages could not be installed with \`${commandLine}\`: ${(reason ?? `exit code ${result.code}`).trim()}`,
    { detail },
  );
}

export async function installPackages(root, wantedMode, { say, isVerbose }) {
  const mode = wantedMode === "all" || hasDevPackages(root) ? "all" : "runtime";
  const startedMs = performance.now();
  const what =
    mode === "all" ? "run-time packages and the tools of the checks" : "run-time packages";
  say(`installing ${what} (first time: up to a minute)`);
  const digest = installDigest(root);
  const [command, ...before] = await findPnpm(root, pinnedVersion(root));
  const args = [...before, "install", "--frozen-lockfile", "--prefer-offline"];
  args.push("--reporter=append-only", "--config.confirmModulesPurge=false");
  if (mode === "runtime") args.push("--prod");
  const result = await capture(command, args, {
    cwd: root,
    // CI: no questions and no progress bars, whatever the terminal.
    env: { ...process.env, CI: "true", COREPACK_ENABLE_DOWNLOAD_PROMPT: "0" },
    timeoutMs: INSTALL_TIMEOUT_MS,
    ...(isVerbose ? { onOutput: (chunk) => process.stderr.write(chunk) } : {}),
  });
  if (result.code !== 0) throw explainFailure(result, [command, ...args].join(" "));
  writeFileSync(join(root, STAMP), `${JSON.stringify({ digest, mode })}\n`);
  say(`packages installed in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}
