/** `npm run -s example -- NAME`: compiles examples/NAME.ts and runs it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { capture, ScriptError, tellFailure } from "./bootstrap/run-program.mjs";
import { start } from "./bootstrap/start.mjs";
import { NEEDS } from "./bootstrap/system-programs.mjs";
import { bootstrap, ROOT } from "./bootstrap.mjs";

const OUTPUT = "node_modules/.cache/murakkab/examples";
const NAME_PATTERN = /^[a-z-]+\/[a-z-]+$/;

async function compile(isVerbose) {
  await bootstrap({ mode: "all", needs: NEEDS.none, isVerbose });
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const { code, stdout, stderr } = await capture(process.execPath, [tsc, "-p", "examples"], {
    cwd: ROOT,
  });
  if (code === 0) return;
  throw new ScriptError("the examples do not compile", { detail: `${stdout}${stderr}`.trim() });
}

const [name = "", ...args] = process.argv.slice(2).filter((arg) => arg !== "--verbose");
const isVerbose = process.argv.includes("--verbose");
try {
  if (!NAME_PATTERN.test(name) || !existsSync(join(ROOT, "examples", `${name}.ts`))) {
    throw new ScriptError(`there is no example "${name}", expected one such as actors/counter`);
  }
  await compile(isVerbose);
  await start({ mode: "all", needs: NEEDS.natsServer, entry: `${OUTPUT}/${name}.js`, args });
} catch (error) {
  process.exitCode = tellFailure(error, isVerbose);
}
