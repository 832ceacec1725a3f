import { TEMPLATES } from "./templates.ts";

export const HELP = `bun run bench/load.ts --url URL [options]: load a WebSocket chat server, count what it delivers, measure how late

What to load
  --url URL               ws:// or wss://, with path; {room}, {name}, {index} are filled in per connection. More than once
                          for servers that act as one: a room's members take turns, and latency to members on another
                          server than the sender's is told apart
  --connections N         in all, over all rooms (default 100)
  --rooms N               rooms of equal size (default 1)
  --rate N                messages per second to each room (default 1)
  --total-rate N          messages per second to all rooms together, instead of --rate
  --senders N             senders per room (default: up to 10)
  --stalled N             connections per room that stop reading once they have joined (default 0)
  --probes N              members of each room with a process of their own, which reads at once: their latency has no
                          part of the generator's queue (default 50 in rooms of 500 and more, else 0)
  --group SPEC            instead of the above, and more than once: name=big,rooms=1,members=5000,rate=20 and, if wanted,
                          senders=, stalled=, probes=; each group has processes of its own
  --bytes N               bytes of each text (default 64, at least 31)
  --seconds N             measured time (default 10)
  --warmup N              seconds before that (default 2)
  --drain N               seconds to wait at most for late deliveries (default 15)
  --silence N             seconds without a delivery after which the missing ones count as lost (default 3)
  --closed-loop N         no schedule: each sender keeps N messages in flight, to find the most a server sustains
  --no-echo               the server does not send a message back to its sender

How to speak to it
  --template NAME         ${Object.keys(TEMPLATES).join(", ")} (default roomcast-json);
                          several with commas: a room's members take turns
  --format json|msgpack   the encoding of frames, written as JSON in the template; for roomcast also json,msgpack
  --query TEXT  --subprotocol NAME  --hello FRAME (repeatable)  --join FRAME  --joined MARKER  --send FRAME
  --acks | --no-acks      replace parts of the template; frames may hold {room}, {name}, {index}; --send needs {text},
                          and {id} where the server acknowledges with a frame that repeats it

How to run it
  --pid N[,N]             the server's process ids, for its CPU time and memory (Linux, this machine)
  --processes N           generator processes of each group (default 1, more if the open-file limit asks for it)
  --addresses N           spread over 127.0.0.1 to 127.0.0.N where the host is 127.0.0.1 or localhost (default 8, or 1 if
                          the server listens on one address only)
  --connect-concurrency N handshakes in flight per process (default 128)
  --connect-timeout N     seconds per connection (default 20)
  --room-prefix TEXT      room names begin with this (default: new in each run)
  --json                  print the result as JSON, with the histograms
  --help

The exit code is 1 if deliveries were lost, doubled or reordered, connections ended or errors came, 2 if the run
could not be made. What is marked client-bound measured the generator, not the server: do not use its latency, except
the probes'.
`;
