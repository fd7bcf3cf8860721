/**
 * Checks which room imports which, and that the rooms that must run under virtual time are pure.
 *
 * Owns:      the table of rooms (the one in ARCHITECTURE.md), what "pure" means, file cycles.
 * Does not:  check tests (they may import anything) or declared dependencies (knip does).
 *
 * Works on the syntax tree, so that comments and strings are no findings, and on names, not
 * types: a name that a file declares itself (a parameter called `process`) is that file's own.
 *
 * Rules:
 *   R1. A room imports only the rooms of its row; never by a relative path across rooms.
 *   R2. The NATS client is imported under packages/bus/src/nats/ only.
 *   R3. Pure files read no clock, set no timer, draw no randomness, see no process and no
 *       built-in module of Node: all these are ports.
 *   R4. No file imports itself in a circle at run time. Type-only imports are erased and may.
 *
 * `node scripts/check-imports.mjs [ROOT]` prints `file:line: rule: message` per finding.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync } from "oxc-parser";

/** What each room may import besides itself. `null`: anything. */
export const ROOMS = {
  kit: [],
  model: ["kit"],
  protocol: ["kit", "model"],
  core: ["kit", "model"],
  bus: ["kit", "protocol"],
  actor: ["kit", "protocol", "bus"],
  library: ["kit", "model", "protocol"],
  scheduler: ["kit", "model", "protocol", "core", "bus", "actor", "library"],
  "node-agent": ["kit", "model", "protocol", "bus", "actor", "library"],
  worker: ["kit", "model", "protocol", "bus", "actor", "library"],
  sdk: ["kit", "model", "protocol", "bus"],
  chaos: ["kit", "model", "protocol", "bus"],
  cli: ["kit", "model", "protocol", "bus", "core", "sdk", "library", "chaos"],
  testkit: null,
};

const SCOPE = "@murakkab/";
const NATS_PLACE = "packages/bus/src/nats/";
const NATS_PACKAGE = /^(nats|@nats-io\/.*)$/;

const PURE_ROOMS = new Set(["kit", "core", "model", "actor"]);
/** Pure but for the entry file and the adapters that it plugs in. */
const PURE_LOGIC_ROOMS = new Set(["scheduler", "node-agent", "worker"]);

/** `file` with forward slashes, relative to the root. */
export function isPureFile(file) {
  const [, room, ...rest] = file.split("/");
  const inside = rest.slice(1).join("/");
  if (PURE_ROOMS.has(room)) return true;
  if (room === "bus") return inside.startsWith("memory/") || inside === "lease.ts";
  if (!PURE_LOGIC_ROOMS.has(room)) return false;
  return inside !== "main.ts" && !inside.startsWith("adapters/");
}

const TIMERS = ["setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval"];
/** Global names that a pure file may not use at all, with the port to use instead. */
const FORBIDDEN_GLOBALS = new Map([
  ["performance", "reads a clock: use the Clock port"],
  ["process", "sees the process: let main.ts pass the value in"],
  ["crypto", "draws randomness: use the Random port"],
  ["require", "loads a module behind the checker's back"],
  ...TIMERS.map((name) => [name, "is a timer: use the Clock port"]),
]);
/** Members of the globals that have a pure side, too. */
const DATE_PURE_MEMBERS = new Set(["UTC", "parse", "prototype"]);
const GLOBAL_OBJECTS = new Set(["globalThis", "global", "self", "window"]);

/** Nodes that hold types only; looked into for `import("…")` types and nothing else. */
const VALUE_TS_NODES = new Set([
  "TSAsExpression",
  "TSSatisfiesExpression",
  "TSNonNullExpression",
  "TSTypeAssertion",
  "TSInstantiationExpression",
  "TSParameterProperty",
  "TSEnumDeclaration",
  "TSEnumBody",
  "TSEnumMember",
  "TSModuleDeclaration",
  "TSModuleBlock",
  "TSExportAssignment",
  "TSImportEqualsDeclaration",
  "TSExternalModuleReference",
]);

function lineCounter(text) {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  };
}

function childrenOf(node) {
  const children = [];
  for (const [key, value] of Object.entries(node)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== null && typeof item === "object" && typeof item.type === "string") {
        children.push({ key, child: item });
      }
    }
  }
  return children;
}

function stringOf(node) {
  if (node?.type === "Literal" && typeof node.value === "string") return node.value;
  if (node?.type === "TemplateLiteral" && node.expressions.length === 0) {
    return node.quasis[0].value.cooked;
  }
  return null;
}

/** Every module that a file names: `{ specifier, offset, isType }`; null = not a fixed string. */
function importsOf(program) {
  const found = [];
  const add = (source, node, isType) =>
    found.push({ specifier: stringOf(source), offset: node.start, isType });
  const areTypes = (specifiers, kind) =>
    specifiers.length > 0 && specifiers.every((it) => it[kind] === "type");
  const visit = (node) => {
    switch (node.type) {
      case "ImportDeclaration":
        add(
          node.source,
          node,
          node.importKind === "type" || areTypes(node.specifiers, "importKind"),
        );
        break;
      case "ExportAllDeclaration":
        add(node.source, node, node.exportKind === "type");
        break;
      case "ExportNamedDeclaration":
        if (node.source) {
          const isType = node.exportKind === "type" || areTypes(node.specifiers, "exportKind");
          add(node.source, node, isType);
        }
        break;
      case "ImportExpression":
        add(node.source, node, false);
        break;
      case "TSImportType":
        add(node.source ?? node.argument?.literal, node, true);
        break;
      case "TSExternalModuleReference":
        add(node.expression, node, false);
        break;
      case "CallExpression":
        if (node.callee.type === "Identifier" && node.callee.name === "require") {
          add(node.arguments[0], node, false);
        }
        break;
      default:
    }
    for (const { child } of childrenOf(node)) visit(child);
  };
  visit(program);
  return found;
}

/** Names that the file itself binds anywhere as values: they hide the globals of that name. */
function boundNames(program) {
  const names = new Set();
  const bind = (pattern) => {
    if (pattern === null || pattern === undefined) return;
    switch (pattern.type) {
      case "Identifier":
        names.add(pattern.name);
        break;
      case "ObjectPattern":
        for (const property of pattern.properties) bind(property.value ?? property.argument);
        break;
      case "ArrayPattern":
        for (const element of pattern.elements) bind(element);
        break;
      case "AssignmentPattern":
        bind(pattern.left);
        break;
      case "RestElement":
        bind(pattern.argument);
        break;
      case "TSParameterProperty":
        bind(pattern.parameter);
        break;
      default:
    }
  };
  const visit = (node) => {
    // `declare const process: …` only tells the compiler of a global: it is still the global.
    if (node.declare === true) return;
    if (node.type === "VariableDeclarator") bind(node.id);
    if (node.type === "CatchClause") bind(node.param);
    if (/^Import(Default|Namespace)?Specifier$/.test(node.type)) bind(node.local);
    if (/Function|Class/.test(node.type)) {
      bind(node.id);
      for (const parameter of node.params?.items ?? node.params ?? []) bind(parameter);
    }
    for (const { child } of childrenOf(node)) {
      if (!(child.type.startsWith("TS") && !VALUE_TS_NODES.has(child.type))) visit(child);
    }
  };
  visit(program);
  return names;
}

/** An identifier that is a name of something else: a property, a key, a label, a binding. */
function isOnlyName(parent, key) {
  if (parent.computed === true) return false;
  if (parent.type === "MemberExpression") return key === "property";
  if (parent.type === "Property") return key === "key" && parent.shorthand !== true;
  if (/^(MethodDefinition|PropertyDefinition|AccessorProperty)$/.test(parent.type)) {
    return key === "key";
  }
  if (parent.type.startsWith("TSAbstract") || parent.type === "TSEnumMember")
    return key !== "initializer";
  return /^(ImportSpecifier|ExportSpecifier|LabeledStatement|BreakStatement|ContinueStatement|MetaProperty)$/.test(
    parent.type,
  );
}

function memberName(node) {
  if (node?.type !== "MemberExpression") return null;
  return node.computed ? stringOf(node.property) : node.property.name;
}

/** What is impure about a use of the global `name`, or null. `parent` is the node around it. */
function impurityOf(name, node, parent) {
  const reason = FORBIDDEN_GLOBALS.get(name);
  if (reason !== undefined) return `\`${name}\` ${reason}`;
  const isObject = parent?.type === "MemberExpression" && parent.object === node;
  const member = isObject ? memberName(parent) : null;
  if (name === "Math") {
    if (isObject && member !== null && member !== "random") return null;
    return "`Math.random` draws randomness: use the Random port";
  }
  if (name !== "Date") return null;
  if (isObject && member !== null && DATE_PURE_MEMBERS.has(member)) return null;
  if (isObject && member === "now") return "`Date.now` reads a clock: use the Clock port";
  if (parent?.type === "NewExpression" && parent.callee === node) {
    if (parent.arguments.length > 0) return null;
    return "`new Date()` reads a clock: use the Clock port";
  }
  if (parent?.type === "BinaryExpression" && parent.operator === "instanceof") return null;
  return "`Date` used as a value or a function reads a clock: use the Clock port";
}

function impuritiesOf(program) {
  const own = boundNames(program);
  const found = [];
  const report = (node, message) => {
    if (message !== null) found.push({ offset: node.start, message });
  };
  const visit = (node, parent, key) => {
    if (node.type.startsWith("TS") && !VALUE_TS_NODES.has(node.type)) return;
    if (node.type === "Identifier" && parent !== null && !isOnlyName(parent, key)) {
      if (!own.has(node.name)) report(node, impurityOf(node.name, node, parent));
    }
    const member = memberName(node);
    if (member !== null && node.object.type === "Identifier" && !own.has(node.object.name)) {
      // `globalThis.setTimeout` and the like.
      if (GLOBAL_OBJECTS.has(node.object.name)) report(node, impurityOf(member, node, parent));
    }
    for (const { key: childKey, child } of childrenOf(node)) visit(child, node, childKey);
  };
  visit(program, null, "");
  return found;
}

function roomOf(file) {
  const parts = file.split("/");
  return parts[0] === "packages" && parts.length > 2 ? parts[1] : null;
}

function toPosix(path) {
  return path.split(sep).join("/");
}

/** The file that a relative specifier means, or null. Sources name `.ts` files. */
function resolveFile(root, file, specifier) {
  const path = resolve(root, dirname(file), specifier);
  const candidates = [path, path.replace(/\.js$/, ".ts"), `${path}.ts`, join(path, "index.ts")];
  const hit = candidates.find((it) => it.endsWith(".ts") && existsSync(it));
  return hit === undefined ? null : toPosix(relative(root, hit));
}

function checkImport(root, file, { specifier, isType }) {
  const room = roomOf(file);
  if (specifier === null) {
    return isPureFile(file) ? ["R3", "an import of a computed name cannot be checked"] : null;
  }
  if (specifier.startsWith(".")) {
    const target = toPosix(relative(root, resolve(root, dirname(file), specifier)));
    if (roomOf(target) === room) return null;
    return ["R1", `"${specifier}" leaves the room: import the package by its name`];
  }
  if (specifier.startsWith(SCOPE)) {
    const target = specifier.slice(SCOPE.length).split("/")[0];
    const allowed = ROOMS[room];
    if (target === room) return ["R1", `${room} imports itself by name: use a relative path`];
    if (allowed === null || allowed.includes(target)) return null;
    return ["R1", `${room} may not import ${target} (allowed: ${allowed.join(", ") || "nothing"})`];
  }
  if (NATS_PACKAGE.test(specifier) && !file.startsWith(NATS_PLACE)) {
    return ["R2", `"${specifier}" is imported outside ${NATS_PLACE}`];
  }
  if (isPureFile(file) && isBuiltin(specifier)) {
    const kind = isType ? "even its types tie the file to Node" : "use a port";
    return ["R3", `"${specifier}" is a module of Node: ${kind}`];
  }
  return null;
}

/** Circles of run-time imports, each once, as lists of files. */
function cyclesOf(graph) {
  const cycles = [];
  const state = new Map();
  const visit = (file, path) => {
    state.set(file, "open");
    for (const next of graph.get(file)?.keys() ?? []) {
      if (state.get(next) === "open") cycles.push(path.slice(path.indexOf(next)));
      else if (!state.has(next)) visit(next, [...path, next]);
    }
    state.set(file, "done");
  };
  for (const file of graph.keys()) if (!state.has(file)) visit(file, [file]);
  return cycles;
}

function sourceFiles(root) {
  const files = [];
  const walk = (directory) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (/\.[cm]?tsx?$/.test(entry.name)) files.push(toPosix(relative(root, path)));
    }
  };
  for (const room of readdirSync(join(root, "packages")).sort()) {
    const source = join(root, "packages", room, "src");
    if (existsSync(source)) walk(source);
  }
  return files.sort((a, b) => (a < b ? -1 : 1));
}

/** All findings under `root`: `{ file, line, rule, message }`, in order of file and line. */
export function checkImports(root) {
  const findings = [];
  const graph = new Map();
  const files = sourceFiles(root);
  for (const file of files) {
    const text = readFileSync(join(root, file), "utf8");
    const { program, errors } = parseSync(file, text);
    const lineOf = lineCounter(text);
    const report = (offset, rule, message) =>
      findings.push({ file, line: lineOf(offset), rule, message });
    if (errors.length > 0) report(0, "R0", `cannot be parsed: ${errors[0].message}`);
    if (ROOMS[roomOf(file)] === undefined) {
      report(0, "R1", `room ${roomOf(file)} is not in the table of scripts/check-imports.mjs`);
      continue;
    }
    const edges = new Map();
    for (const found of importsOf(program)) {
      const problem = checkImport(root, file, found);
      if (problem !== null) report(found.offset, ...problem);
      if (found.isType || !found.specifier?.startsWith(".")) continue;
      const target = resolveFile(root, file, found.specifier);
      if (target !== null && !edges.has(target)) edges.set(target, lineOf(found.offset));
    }
    graph.set(file, edges);
    if (!isPureFile(file)) continue;
    for (const { offset, message } of impuritiesOf(program)) report(offset, "R3", message);
  }
  for (const cycle of cyclesOf(graph)) {
    const line = graph.get(cycle[0]).get(cycle[1 % cycle.length]) ?? 1;
    findings.push({
      file: cycle[0],
      line,
      rule: "R4",
      message: `circle: ${[...cycle, cycle[0]].join(" -> ")}`,
    });
  }
  return {
    fileCount: files.length,
    findings: findings.sort((a, b) =>
      a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line,
    ),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), ".."));
  const { fileCount, findings } = checkImports(root);
  for (const { file, line, rule, message } of findings) {
    process.stdout.write(`${file}:${line}: ${rule}: ${message}\n`);
  }
  process.stdout.write(`${fileCount} files, ${findings.length} findings\n`);
  // No file read means that the check checked nothing, which must not pass.
  process.exitCode = findings.length === 0 && fileCount > 0 ? 0 : 1;
}
