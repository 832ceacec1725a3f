import { NatsServers } from "../../test/support/nats.ts";
import type { Case } from "../run/case.ts";
import type { Peer } from "./peer.ts";
import { alsoRunning, ServerProcess } from "./server-process.ts";

/** All processes of one measurement: the peer's servers and, where its case is about NATS, what they stand on. */
export class Deployment {
  readonly servers: ServerProcess[] = [];
  #nats: NatsServers | null = null;
  #forgetNats = (): void => {};

  /**
   * Resolves once all accept connections.
   * @param folder the server's data folder, kept afterwards; null makes one that is removed
   * @throws Error a server ended or did not listen in time, with what it printed last
   */
  static async start(
    one: Case,
    peer: Peer,
    folder: string | null = null,
  ): Promise<Deployment> {
    const deployment = new Deployment();
    const flags = peer.abilities.includes("history") ? [...one.flags] : [];
    try {
      if (peer.nats !== undefined && one.nats !== null) {
        await deployment.#startNats(one.nats.replicas);
        flags.push(...deployment.natsFlags(one.nats));
      }
      for (let i = 0; i < (peer.nats?.gateways ?? 1); i++)
        deployment.servers.push(await ServerProcess.start(peer, flags, folder));
    } catch (error) {
      await deployment.stop();
      throw error;
    }
    return deployment;
  }

  /** Flags of whoever uses the NATS servers of this. */
  natsFlags({ streams, replicas }: NonNullable<Case["nats"]>): string[] {
    return [
      ...["--nats", this.#nats!.urls],
      ...["--nats-streams", String(streams)],
      ...["--nats-replicas", String(replicas)],
    ];
  }

  /** The servers' process ids, and those of NATS. */
  get pids(): number[] {
    return this.servers.map(({ pid }) => pid);
  }
  get natsPids(): number[] {
    return this.#nats?.servers.map(({ pid }) => pid) ?? [];
  }

  /** Whether a server has ended by itself or by a signal. */
  get ended(): boolean {
    return this.servers.some(({ ended }) => ended);
  }

  /** What the servers printed last. */
  get output(): string {
    return this.servers
      .map(({ output }) => output)
      .filter((text) => text !== "")
      .join("; ");
  }

  /** SIGKILL to the servers, and waits for their end. */
  async kill(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill()));
  }

  /** Ends all in good order if it can, and removes their files. */
  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
    await this.#nats?.[Symbol.asyncDispose]();
    this.#forgetNats();
  }

  async #startNats(count: number): Promise<void> {
    this.#nats = await NatsServers.start(count);
    this.#forgetNats = alsoRunning(this.#nats.servers);
  }
}
