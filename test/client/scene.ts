import { expect } from "bun:test";
import {
  RoomcastClient,
  RoomcastError,
  type ClientOptions,
} from "../../src/client/index.ts";
import { InProcessServer } from "../support/server.ts";

/** Clients that are closed at the end of a scope. */
export class Clients implements AsyncDisposable {
  readonly all: RoomcastClient[] = [];

  connect(url: string, options: ClientOptions = {}): RoomcastClient {
    const client = new RoomcastClient(url, options);
    this.all.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((client) => client.close()));
  }
}

/** A server in this process, and clients that leave before it does. */
export class Scene implements AsyncDisposable {
  readonly server: InProcessServer;
  readonly #clients = new Clients();

  constructor(...flags: string[]) {
    this.server = new InProcessServer(...flags);
  }

  connect(options?: ClientOptions): RoomcastClient {
    return this.#clients.connect(this.server.url, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#clients[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

/** @returns the error that `promise` is rejected with */
export async function failure(
  promise: Promise<unknown>,
): Promise<RoomcastError> {
  try {
    await promise;
  } catch (error) {
    expect(error).toBeInstanceOf(RoomcastError);
    return error as RoomcastError;
  }
  throw new Error("it did not fail");
}
