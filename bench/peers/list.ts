import { BARE, BARE_JSON } from "./bare.ts";
import { CENTRIFUGO } from "./centrifugo.ts";
import {
  JETSTREAM,
  NATS_BROKER,
  ROOMCAST_NATS,
  ROOMCAST_NATS_2,
} from "./nats.ts";
import type { Peer } from "./peer.ts";
import { ROOMCAST, ROOMCAST_UNCOUNTED } from "./roomcast.ts";
import { SOCKETIO } from "./socketio.ts";
import { WS } from "./ws.ts";

/** All peers, in the order of tables and plots: the controls first. */
export const PEERS: readonly Peer[] = [
  BARE,
  BARE_JSON,
  JETSTREAM,
  NATS_BROKER,
  ROOMCAST,
  ROOMCAST_UNCOUNTED,
  ROOMCAST_NATS,
  ROOMCAST_NATS_2,
  WS,
  SOCKETIO,
  CENTRIFUGO,
];

/** @throws Error that lists the names there are */
export function peerNamed(name: string): Peer {
  const peer = PEERS.find((one) => one.name === name);
  if (peer === undefined)
    throw new Error(
      `no peer ${name}; there are ${PEERS.map((one) => one.name).join(", ")}`,
    );
  return peer;
}
