/**
 * The programs that are not npm packages: what they are, whether they are here, how to get them.
 *
 * Owns:      the list of programs and their packages, the search on PATH.
 * Does not:  install anything (see apt-install.mjs).
 */
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import { aptInstall, mayUseApt } from "./apt-install.mjs";
import { capture, ScriptError } from "./run-program.mjs";

/** Debian keeps servers out of an ordinary user's PATH; Homebrew is not on a launch agent's. */
const MORE_DIRECTORIES = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin"];
/** Older servers lack what the journal's fenced writes need. */
const NATS_VERSION_MIN = [2, 9, 0];
const STAMP = "node_modules/.murakkab-programs.json";
/** An optional program that apt-get could not give is asked for again after this long. */
const RETRY_AFTER_MS = 24 * 3_600_000;

const TESSDATA_DIRECTORIES = [
  "/usr/share/tessdata",
  "/usr/local/share/tessdata",
  "/opt/homebrew/share/tessdata",
];
const FONT_FILES = [
  "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
  "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
  "/usr/share/fonts/TTF/DejaVuSans.ttf",
  `${process.env.HOME}/Library/Fonts/DejaVuSans.ttf`,
  "/Library/Fonts/DejaVuSans.ttf",
];

function hasEnglishTessdata() {
  const directories = [...TESSDATA_DIRECTORIES];
  if (process.env.TESSDATA_PREFIX) directories.unshift(process.env.TESSDATA_PREFIX);
  const debian = "/usr/share/tesseract-ocr"; // one directory per major version
  if (existsSync(debian)) {
    for (const version of readdirSync(debian)) directories.push(join(debian, version, "tessdata"));
  }
  return directories.some((directory) => existsSync(join(directory, "eng.traineddata")));
}

function hasEnglishSpeechModel() {
  return ["/usr/share", "/usr/local/share", "/opt/homebrew/share"].some((share) =>
    existsSync(join(share, "pocketsphinx/model/en-us")),
  );
}

/** `without`: what cannot be done when it is missing. */
const PROGRAMS = {
  "nats-server": {
    isHere: () => Boolean(process.env.NATS_URL) || findNatsServer() !== null,
    apt: ["nats-server"],
    brew: ["nats-server"],
    without:
      "there is no message bus, so nothing runs; NATS_URL (a running server with JetStream) or " +
      "MURAKKAB_NATS_SERVER (a binary) also do",
  },
  ffmpeg: {
    isHere: () => findOnPath("ffmpeg") !== null && findOnPath("ffprobe") !== null,
    apt: ["ffmpeg"],
    brew: ["ffmpeg"],
    without: "no video or audio can be read",
  },
  tesseract: {
    isHere: () => findOnPath("tesseract") !== null && hasEnglishTessdata(),
    apt: ["tesseract-ocr", "tesseract-ocr-eng"],
    brew: ["tesseract"],
    without: "plans read no text in pictures",
  },
  pocketsphinx_continuous: {
    isHere: () => findOnPath("pocketsphinx_continuous") !== null && hasEnglishSpeechModel(),
    apt: ["pocketsphinx", "pocketsphinx-en-us"],
    // Homebrew has version 5 only, which dropped pocketsphinx_continuous.
    brew: [],
    without: "plans hear no speech",
  },
  flite: {
    isHere: () => findOnPath("flite") !== null,
    apt: ["flite"],
    brew: ["flite"],
    without: "no narration can be spoken into a video",
  },
  "DejaVu fonts": {
    isHere: () => FONT_FILES.some((file) => existsSync(file)),
    apt: ["fonts-dejavu-core"],
    brew: ["--cask font-dejavu"],
    without: "no text can be drawn into a video",
  },
};

/** What each command needs. The demo plans with the optional ones that are there. */
export const NEEDS = {
  none: { required: [], optional: [] },
  natsServer: { required: ["nats-server"], optional: [] },
  demo: {
    required: ["nats-server", "ffmpeg"],
    optional: ["tesseract", "pocketsphinx_continuous"],
  },
  makeVideo: { required: ["ffmpeg", "flite", "DejaVu fonts"], optional: [] },
  test: {
    required: ["nats-server", "ffmpeg"],
    optional: ["tesseract", "pocketsphinx_continuous", "flite", "DejaVu fonts"],
  },
};

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export function findOnPath(name, directories = MORE_DIRECTORIES) {
  const onPath = (process.env.PATH ?? "").split(delimiter).filter((it) => it !== "");
  for (const directory of [...onPath, ...directories]) {
    const path = join(directory, name);
    if (isExecutable(path)) return path;
  }
  return null;
}

/** `MURAKKAB_NATS_SERVER` wins; a value that names no program is an error, not a fallback. */
export function findNatsServer() {
  const named = process.env.MURAKKAB_NATS_SERVER;
  if (named) {
    if (isExecutable(named)) return named;
    throw new ScriptError(`MURAKKAB_NATS_SERVER names "${named}", which is no executable file`);
  }
  return findOnPath("nats-server");
}

function readStamp(root) {
  try {
    return JSON.parse(readFileSync(join(root, STAMP), "utf8"));
  } catch {
    return {};
  }
}

/** Merges: what another command noted stays. */
function writeStamp(root, change) {
  writeFileSync(join(root, STAMP), `${JSON.stringify({ ...readStamp(root), ...change })}\n`);
}

function fileKey(path) {
  const { mtimeMs, size } = statSync(path);
  return `${path} ${size} ${mtimeMs}`;
}

/** Starts the program once per file version: a start costs more than the rest of the check. */
async function checkNatsVersion(root) {
  const path = findNatsServer();
  if (process.env.NATS_URL || path === null) return;
  const key = fileKey(path);
  if (readStamp(root).natsServer === key) return;
  const { code, stdout } = await capture(path, ["--version"], { timeoutMs: 20_000 });
  const match = /v(\d+)\.(\d+)\.(\d+)/.exec(stdout);
  if (code !== 0 || match === null) throw new ScriptError(`${path} --version did not answer`);
  const version = match.slice(1).map(Number);
  const at = version.findIndex((part, index) => part !== NATS_VERSION_MIN[index]);
  if (at !== -1 && version[at] < NATS_VERSION_MIN[at]) {
    throw new ScriptError(
      `${path} is ${version.join(".")}, at least ${NATS_VERSION_MIN.join(".")} is needed: ` +
        "install a newer one and set MURAKKAB_NATS_SERVER to it",
    );
  }
  writeStamp(root, { natsServer: key });
}

function installCommands(names) {
  const apt = names.flatMap((name) => PROGRAMS[name].apt);
  const brew = names.flatMap((name) => PROGRAMS[name].brew);
  const formulas = brew.filter((it) => !it.startsWith("--cask"));
  const brewLines = [
    ...(formulas.length === 0 ? [] : [`brew install ${formulas.join(" ")}`]),
    ...brew.filter((it) => it.startsWith("--cask")).map((it) => `brew install ${it}`),
  ];
  const missing = names.filter((name) => PROGRAMS[name].brew.length === 0);
  if (missing.length > 0) brewLines.push(`(Homebrew has no ${missing.join(", ")})`);
  return [
    `  Debian, Ubuntu:  sudo apt-get install --no-install-recommends ${apt.join(" ")}`,
    ...brewLines.map((line) => `  macOS:           ${line}`),
  ];
}

function missingOf(names) {
  return names.filter((name) => !PROGRAMS[name].isHere());
}

/** Says what is missing, what that means and which command helps. */
function tellMissing({ required, optional }, say) {
  for (const name of required)
    say(`missing: ${name} (required): without it ${PROGRAMS[name].without}`);
  for (const name of optional)
    say(`missing: ${name} (optional): without it ${PROGRAMS[name].without}`);
  for (const line of installCommands([...required, ...optional])) say(line);
}

function missingFor(needs) {
  return { required: missingOf(needs.required), optional: missingOf(needs.optional) };
}

/** True when there is nothing to do or to say. */
export function hasPrograms(root, needs) {
  const { required, optional } = missingFor(needs);
  if (required.length > 0 || optional.length > 0) return false;
  if (!needs.required.includes("nats-server") || process.env.NATS_URL) return true;
  return readStamp(root).natsServer === fileKey(findNatsServer());
}

/** Installs what is missing where that is allowed, and fails when a required program stays away. */
export async function ensurePrograms(root, needs, { say, isVerbose }) {
  let missing = missingFor(needs);
  const recentlyFailed = readStamp(root).failed ?? {};
  const isWorthTrying = (name) => !(Date.now() - (recentlyFailed[name] ?? 0) < RETRY_AFTER_MS);
  const wanted = [...missing.required, ...missing.optional.filter(isWorthTrying)];
  if (wanted.length > 0) {
    const how = await mayUseApt();
    if (how.kind === "allowed") {
      const packages = wanted.flatMap((name) => PROGRAMS[name].apt);
      await aptInstall(packages, { say, isVerbose, sudo: how.sudo });
      missing = missingFor(needs);
      const failed = Object.fromEntries(missing.optional.map((name) => [name, Date.now()]));
      writeStamp(root, { failed });
    } else if (missing.required.length > 0) {
      say(`programs are not installed by this script here: ${how.reason}`);
    }
  }
  if (missing.required.length + missing.optional.length > 0) tellMissing(missing, say);
  if (missing.required.length > 0) {
    throw new ScriptError(`${missing.required.join(" and ")} must be installed first, see above`);
  }
  if (needs.required.includes("nats-server")) await checkNatsVersion(root);
}
