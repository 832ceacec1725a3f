import { resolve } from "node:path";
import bundle from "./index.html";

/** What is sent with every file of the page. */
const SECURITY_HEADERS = {
  // 'self' covers WebSockets of the same origin. Trusted types: nothing can turn a string into HTML or script.
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

interface PageFile {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly gzipped: Uint8Array<ArrayBuffer>;
  readonly headers: Record<string, string>;
}

/** By path, such as `/` and `/chunk-1a2b3c4d.js`. */
type PageFiles = ReadonlyMap<string, PageFile>;

const ENTRY = "/";

let files: Promise<PageFiles> | undefined;

/**
 * Answers GET and HEAD for the page's files. They are bundled when one is first asked for, and kept: a server that nobody looks at
 * pays nothing.
 * @returns undefined for a path that is none of the page's
 */
export function respondWithPage(
  request: Request,
  pathname: string,
): Promise<Response | undefined> | undefined {
  if (request.method !== "GET" && request.method !== "HEAD") return undefined;
  if (!mayBeFile(pathname)) return undefined;
  files ??= load().catch((error) => {
    // Not for good: what was missing may be there the next time.
    files = undefined;
    throw error;
  });
  return files.then((known) => {
    const file = known.get(pathname);
    return file && answer(request.headers, file);
  });
}

/** What a server answers with for paths it does not know itself. */
export const pageIf = (wanted: "on" | "off"): typeof respondWithPage =>
  wanted === "on" ? respondWithPage : () => undefined;

function answer(
  asked: Headers,
  { body, gzipped, headers }: PageFile,
): Response {
  if (asked.get("if-none-match") === headers.etag)
    return new Response(null, { status: 304, headers });
  return /\bgzip\b/.test(asked.get("accept-encoding") ?? "")
    ? new Response(gzipped, {
        headers: { ...headers, "content-encoding": "gzip" },
      })
    : new Response(body, { headers });
}

/** Names of bundled files carry a hash: what does not look like one needs no bundle to be refused. */
function mayBeFile(pathname: string): boolean {
  return pathname === ENTRY || /^\/[\w-]+-[0-9a-z]{8}\.\w+$/.test(pathname);
}

async function load(): Promise<PageFiles> {
  const outputs = bundle.files ? built(bundle.files) : await build();
  return new Map(
    await Promise.all(
      outputs.map(
        async ({ path, blob }) => [path, await pageFile(path, blob)] as const,
      ),
    ),
  );
}

interface Output {
  /** Where it is asked for. */
  readonly path: string;
  readonly blob: Blob;
}

/** The files that `bun build` made of the HTML import, on disk or inside the executable. */
function built(made: NonNullable<typeof bundle.files>): Output[] {
  return made.map(({ path, loader }) => ({
    path: loader === "html" ? ENTRY : `/${path.split("/").at(-1)}`,
    blob: Bun.file(resolve(import.meta.dir, path)),
  }));
}

/** The HTML import, run from source: only its path is known. */
async function build(): Promise<Output[]> {
  const { outputs } = await Bun.build({
    entrypoints: [bundle.index],
    target: "browser",
    minify: true,
    splitting: true,
    publicPath: "/",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  return outputs.map((output) => ({
    path: output.path.endsWith(".html") ? ENTRY : output.path.slice(1),
    blob: output,
  }));
}

async function pageFile(path: string, blob: Blob): Promise<PageFile> {
  const body = new Uint8Array(await blob.arrayBuffer());
  return {
    body,
    gzipped: Bun.gzipSync(body),
    headers: {
      ...SECURITY_HEADERS,
      "content-type": blob.type,
      "cache-control":
        path === ENTRY ? "no-cache" : "public, max-age=31536000, immutable",
      etag: `"${Bun.hash(body).toString(36)}"`,
      vary: "accept-encoding",
    },
  };
}
