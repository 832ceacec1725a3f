import type Type from "typebox";
import type { ApiPorts } from "./ports.ts";

/** What a handler gets: everything is checked. */
export interface Call<Query, Body> {
  /** Of the path, by name. `seq` is a whole number, as text. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  readonly idempotencyKey: string | undefined;
}

/** A status, and what goes with it. */
export interface Outcome {
  readonly status: number;
  readonly body?: object;
}

/** One row of the table from which requests are answered and the OpenAPI document is made. */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** Below `/api/v1`, with `{room}`, `{user}` or `{seq}`. */
  readonly path: string;
  /** Unique; names the operation in generated clients. */
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  /** Whole numbers are read as such, everything else is text. */
  readonly query?: Type.TObject;
  readonly body?: Type.TObject;
  /** Whether it is open to users too, with a token that has `moderate` for the path's room. */
  readonly moderators?: boolean;
  /** Whether it takes an `Idempotency-Key`. */
  readonly idempotencyKey?: boolean;
  /** What it answers where it succeeds. */
  readonly answers: Readonly<
    Record<number, { description: string; schema?: Type.TSchema }>
  >;
  /** Statuses of its failures, beside those of every route. */
  readonly fails?: readonly number[];
  readonly run: (
    ports: ApiPorts,
    call: Call<any, any>,
  ) => Outcome | Promise<Outcome>;
}

/** Gives a row's handler the types of its schemas. */
export function route<Query extends Type.TObject, Body extends Type.TObject>(
  row: Omit<Route, "run" | "query" | "body"> & {
    readonly query?: Query;
    readonly body?: Body;
    readonly run: (
      ports: ApiPorts,
      call: Call<Type.Static<Query>, Type.Static<Body>>,
    ) => Outcome | Promise<Outcome>;
  },
): Route {
  return row;
}
