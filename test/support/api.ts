import { Compile } from "typebox/compile";

/** A key for tests' servers. */
export const KEY = "0123456789-a-test-key";

export interface Answered {
  readonly status: number;
  /** JSON; undefined where there was no body. */
  readonly body: any;
  readonly headers: Headers;
}

/** A back end that uses the API, and checks every answer against the document that the server gives out. */
export class BackEnd {
  private constructor(
    private readonly http: string,
    readonly document: any,
  ) {}

  static async at(http: string): Promise<BackEnd> {
    const answer = await fetch(`${http}/api/v1/openapi.json`);
    return new BackEnd(http, await answer.json());
  }

  get(path: string): Promise<Answered> {
    return this.ask("GET", path);
  }

  post(
    path: string,
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answered> {
    return this.ask("POST", path, body, headers);
  }

  delete(path: string): Promise<Answered> {
    return this.ask("DELETE", path);
  }

  /** @throws Error the answer is not one that the document tells */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answered> {
    const response = await fetch(`${this.http}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${KEY}`, ...headers },
      // Another connection each time: with threads, another thread.
      keepalive: false,
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const { status } = response;
    const answered = {
      status,
      body: text === "" ? undefined : JSON.parse(text),
      headers: response.headers,
    };
    if (status !== 404 && status !== 405) this.#check(method, path, answered);
    return answered;
  }

  #check(method: string, path: string, { status, body }: Answered): void {
    const told = this.#operation(method, path)?.responses?.[status];
    const what = `${method} ${path} → ${status} ${JSON.stringify(body)}`;
    if (!told) throw new Error(`the document does not tell of ${what}`);
    const schema = told.content?.["application/json"]?.schema;
    if (!schema && body !== undefined)
      throw new Error(`the document tells of no body: ${what}`);
    if (!schema) return;
    const whole = schema.$ref
      ? this.document.components.schemas[schema.$ref.split("/").at(-1)]
      : schema;
    if (!Compile(whole).Check(body))
      throw new Error(
        `the document tells of another body: ${what}: ${JSON.stringify(Compile(whole).Errors(body))}`,
      );
  }

  #operation(method: string, path: string): any {
    const given = path.split("?")[0]!.split("/");
    for (const [template, operations] of Object.entries<any>(
      this.document.paths,
    )) {
      const parts = template.split("/");
      const fits =
        parts.length === given.length &&
        parts.every((part, i) => part.startsWith("{") || part === given[i]);
      if (fits && operations[method.toLowerCase()])
        return operations[method.toLowerCase()];
    }
    return undefined;
  }
}
