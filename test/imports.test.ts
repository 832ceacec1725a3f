import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dir, "..");
const src = join(root, "src");

/** Folders of src in the order in which they may import: only from a stage before their own. The last is src itself. */
const STAGES: readonly (readonly string[])[] = [
  ["collections", "protocol"],
  ["config", "data", "client", "logging", "stats"],
  ["auth", "broker"],
  ["gateway", "webhooks"],
  ["nodes"],
  ["backend", "terminal", "web", "metrics", "api"],
  ["threads"],
  ["."],
];

interface Import {
  /** Path from the repository's root, or a package's name. */
  readonly target: string;
  readonly typeOnly: boolean;
}

const STATEMENT =
  /^\s*(import|export)\b(\s+type\b(?!\s*(?:,|from\b)))?[^"'`;]*?["']([^"']+)["']/gm;
const CALL = /\bimport\s*\(\s*["']([^"']+)["']/g;

/** Imports of a file, those of types too. */
function importsOf(file: string, code: string): Import[] {
  const bare = code
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/^\s*\/\/.*$/gm, "");
  const found: Import[] = [];
  for (const [statement, keyword, type, target] of bare.matchAll(STATEMENT)) {
    if (keyword === "export" && !/\bfrom\s*["']/.test(statement)) continue;
    found.push({
      target: resolve(file, target!),
      typeOnly: type !== undefined,
    });
  }
  for (const [, target] of bare.matchAll(CALL))
    found.push({ target: resolve(file, target!), typeOnly: false });
  return found;
}

function resolve(file: string, target: string): string {
  return target.startsWith(".")
    ? relative(root, join(root, dirname(file), target))
    : target;
}

const files = new Map(
  [...new Bun.Glob("**/*.{ts,tsx}").scanSync(src)].sort().map((name) => {
    const file = join("src", name);
    return [file, importsOf(file, readFileSync(join(root, file), "utf8"))];
  }),
);

/** @returns the imports that break a rule, as lines */
function offending(
  breaks: (file: string, imported: Import) => boolean,
): string[] {
  return [...files].flatMap(([file, imports]) =>
    imports
      .filter((imported) => breaks(file, imported))
      .map((imported) => `${file} imports ${imported.target}`),
  );
}

const folderOf = (file: string): string => {
  const parts = file.split("/");
  return parts.length > 2 ? parts[1]! : ".";
};

/** Folders that may import even less: the client is for other programs, and takes nothing of the server along. */
const ONLY: { readonly [folder: string]: readonly string[] } = {
  client: ["protocol", "@msgpack/msgpack"],
};

const stageOf = (folder: string): number =>
  STAGES.findIndex((stage) => stage.includes(folder));

test("imports are found in every form, types and values apart", () => {
  const code = `
    import a from "./a.ts";
    import type { B } from "./b.ts";
    import { type C, c } from "../c.ts";
    import type D, {
      E,
    } from './d.ts';
    import "./side-effect.ts";
    import * as f from "package";
    import type from "./named-type.ts";
    export { g } from "./g.ts";
    export type { H } from "./h.ts";
    export * from "./i.ts";
    export const text = "./not-an-import.ts";
    // import j from "./comment.ts";
    /* import k from "./comment.ts"; */
    const l = await import("./l.ts");
  `;
  const found = importsOf("src/x/y.ts", code);
  expect(
    found.map(({ target, typeOnly }) => `${typeOnly ? "type " : ""}${target}`),
  ).toEqual([
    "src/x/a.ts",
    "type src/x/b.ts",
    "src/c.ts",
    "type src/x/d.ts",
    "src/x/side-effect.ts",
    "package",
    "src/x/named-type.ts",
    "src/x/g.ts",
    "type src/x/h.ts",
    "src/x/i.ts",
    "src/x/l.ts",
  ]);
});

test("no import that Bun sees is overlooked", () => {
  const transpilers = {
    ts: new Bun.Transpiler({ loader: "ts" }),
    tsx: new Bun.Transpiler({ loader: "tsx" }),
  };
  expect(files.size).toBeGreaterThan(30);
  for (const [file, imports] of files) {
    const seen = transpilers[file.endsWith(".tsx") ? "tsx" : "ts"]
      .scanImports(readFileSync(join(root, file), "utf8"))
      .map(({ path }) => resolve(file, path))
      // What the transpiler itself writes for JSX.
      .filter((target) => !/^react(\/|$)/.test(target));
    const found = imports.filter((i) => !i.typeOnly).map((i) => i.target);
    for (const target of seen)
      expect(found, `imports of ${file}`).toContain(target);
  }
});

test("every relative import names a file that is there, with its ending", () => {
  expect(
    offending(
      (_, { target }) =>
        target.startsWith("src/") &&
        !files.has(target) &&
        !(target.endsWith(".html") && existsSync(join(root, target))),
    ),
  ).toEqual([]);
});

test("no files import each other in a circle at run time", () => {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) circles.push([...path.slice(start), file].join(" → "));
    if (start >= 0 || done.has(file)) return;
    for (const { target, typeOnly } of files.get(file) ?? [])
      if (!typeOnly) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files.keys()) visit(file, []);
  expect(circles).toEqual([]);
});

test("every folder of src has its place in the order of imports", () => {
  const folders = new Set([...files.keys()].map(folderOf));
  expect([...folders].filter((folder) => stageOf(folder) < 0)).toEqual([]);
});

test("no folder imports one of its own stage or of a later one, not even a type", () => {
  expect(
    offending((file, { target }) => {
      if (!files.has(target)) return false;
      const [from, to] = [folderOf(file), folderOf(target)];
      return from !== to && stageOf(to) >= stageOf(from);
    }),
  ).toEqual([]);
});

test("the client imports nothing but the protocol", () => {
  expect(
    offending((file, { target }) => {
      const allowed = ONLY[folderOf(file)];
      const from = files.has(target) ? folderOf(target) : target;
      return !!allowed && from !== folderOf(file) && !allowed.includes(from);
    }),
  ).toEqual([]);
});

test("the tables of errors import nothing: clients read them too", () => {
  expect(files.get("src/protocol/errors.ts")).toEqual([]);
});

test("nothing in src imports from outside it, but for packages and package.json", () => {
  expect(
    offending(
      (_, { target }) =>
        /^(\.\.|test|bench|node_modules)\//.test(target) ||
        /(^|\/)(test|bench)\//.test(target),
    ),
  ).toEqual([]);
  expect(
    offending(
      (file, { target }) => target === "package.json" && folderOf(file) !== ".",
    ),
  ).toEqual([]);
});
