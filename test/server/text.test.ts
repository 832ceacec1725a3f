import {
  afterAll,
  beforeAll,
  describe,
  expect,
  test,
  setDefaultTimeout,
} from "bun:test";
import { BackEnd, KEY } from "../support/api.ts";
import { Client, type Message } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { SECRET, token } from "../support/tokens.ts";
import { event, freshRoom } from "./helpers.ts";

// Starts servers: this only ends what hangs.
setDefaultTimeout(60_000);

/** The lines of the text format, as a person at a terminal sees them. */

let server: InProcessServer;
beforeAll(async () => {
  server = await InProcessServer.start("--max-messages-per-second", "0");
});
afterAll(() => server.stop());

const connect = (query = "", to: InProcessServer = server): Promise<Client> =>
  Client.connect(to.url, "text", query);

const lines = (client: Client): string[] => client.received.map((m) => m.line);

/** Waits for one exact line. */
const line = (client: Client, wanted: string): Promise<Message> =>
  client.next((m) => m.line === wanted);

/** Sends a line and waits for the next one that comes. */
async function answer(client: Client, sent: string): Promise<string> {
  const next = client.next(() => true);
  client.send(sent);
  return (await next).line;
}

/** Connects, and waits until it is in its room: the greeting comes before that. */
async function connectAndJoin(
  query: string,
  to: InProcessServer = server,
): Promise<Client> {
  const client = await connect(query, to);
  await answer(client, "/who");
  return client;
}

test("the greeting counts the users online", async () => {
  await using quiet = await InProcessServer.start();
  using bob = await connect("", quiet);
  using ann = await Client.connect(quiet.url, "json", "name=Ann");
  using eve = await connect("", quiet);
  using second = await connect(`session=${ann.welcome.session}`, quiet);
  expect(lines(bob)[0]).toBe("You are connected! There are 1 users here.");
  expect(lines(eve)[0]).toBe("You are connected! There are 3 users here.");
  expect(lines(second)[0]).toBe("You are connected! There are 3 users here.");
});

test("a line is a message to the room general, and comes back as everybody sees it", async () => {
  await using quiet = await InProcessServer.start();
  using ann = await Client.connect(quiet.url, "json", "room=general&name=Ann");
  await ann.nextAction("room_joined");
  using bob = await connect("name=Bob", quiet);
  using eve = await connectAndJoin("name=Eve", quiet);
  const seen = event(ann, "general", "Hi everyone");
  const heard = line(eve, "[Bob]: Hi everyone");
  bob.send("Hi everyone");
  await heard;
  const message = await seen;
  expect(message).toEqual({
    action: "receive_message",
    room: "general",
    seq: 1,
    from: "Bob",
    user: message.user,
    text: "Hi everyone",
    ts: message.ts,
  });
  await ann.say("general", "Hello Bob");
  await line(bob, "[Ann]: Hello Bob");
  // No acks, no presence, no replies to the join: only the conversation.
  expect(lines(bob)).toEqual([
    "You are connected! There are 2 users here.",
    "[Bob]: Hi everyone",
    "[Ann]: Hello Bob",
  ]);
});

test("the address names the room, and /join goes to another one", async () => {
  const [first, second] = [freshRoom(), freshRoom()];
  using bob = await connect(`room=${first}&name=Bob`);
  using ann = await Client.connect(server.url, "json", `room=${first}`);
  await ann.join(second);
  const [here, there] = [event(ann, first, "one"), event(ann, second, "two")];
  bob.send("one");
  await here;
  bob.send(`/join ${second}`);
  await line(bob, `You are in ${second}. There are 2 users in this room.`);
  bob.send("two");
  await there;
  await ann.say(first, "unheard");
  await ann.say(second, "heard");
  await bob.nextLine(`[${ann.user.name}]: heard`);
  expect(lines(bob).join("\n")).not.toContain("unheard");
  const { members } = await ann.request({ action: "get_members", room: first });
  expect(members).toEqual([ann.user]);
});

test("/join takes a room with spaces, and the room one is in already", async () => {
  using bob = await connect("name=Bob");
  for (let i = 0; i < 2; i++)
    expect(await answer(bob, "/join   the long room ")).toBe(
      "You are in the long room. There are 1 users in this room.",
    );
  expect(await answer(bob, "hi")).toBe("[Bob]: hi");
});

test("/join of a room that rights or a ban keep shut leaves one where one is", async () => {
  const [here, banned] = [freshRoom(), freshRoom()];
  await using server = await InProcessServer.start(
    ...["--jwt-secret", SECRET, "--api-key", KEY],
  );
  const rooms = { [here]: ["join", "send"], [banned]: ["join", "send"] };
  const bobs = await token({ rooms });
  const anns = await token({ sub: "ann" });
  using bob = await connect(`token=${bobs}&room=${here}`, server);
  using ann = await Client.connect(server.url, "json", `token=${anns}`);
  await ann.join(here);
  const backEnd = await BackEnd.at(server.http);
  await backEnd.post(`/rooms/${banned}/bans`, { user: "bob" });
  expect(await answer(bob, "/join secret")).toBe(
    '! this connection may not join room "secret"',
  );
  expect(await answer(bob, "still here")).toBe("[bob]: still here");
  expect(await answer(bob, `/join ${banned}`)).toBe(
    `! you are banned from room "${banned}"`,
  );
  await ann.say(here, "I see you");
  await line(bob, "[ann]: I see you");
  expect(await answer(bob, "/who")).toContain(`users in ${here}: `);
});

test("/join goes to another room where a connection may be in one only", async () => {
  await using server = await InProcessServer.start(
    ...["--max-rooms-per-connection", "1"],
  );
  const [first, second] = [freshRoom(), freshRoom()];
  using bob = await Client.connect(server.url, "text", `room=${first}`);
  using ann = await Client.connect(server.url, "json", `room=${first}`);
  await ann.nextAction("room_joined");
  expect(await answer(bob, `/join ${second}`)).toStartWith(`You are in`);
  for (;;) {
    const members = await ann.request({ action: "get_members", room: first });
    if (members.count === 1) break;
    await Bun.sleep(1);
  }
  expect(await ann.join(second)).toMatchObject({ code: "too_many_rooms" });
});

test.each([
  ["/join"],
  ["/join   "],
  [`/join ${"x".repeat(129)}`],
  ["/join a\u0007b"],
])("%p is refused, and leaves one where one is", async (command) => {
  const room = freshRoom();
  using bob = await connect(`room=${room}&name=Bob`);
  expect(await answer(bob, command)).toStartWith("! ");
  expect(await answer(bob, "still here")).toBe("[Bob]: still here");
  expect(await answer(bob, "/who")).toBe(`1 users in ${room}: Bob`);
});

test("/who names the users in the room", async () => {
  const room = freshRoom();
  using bob = await connectAndJoin(`room=${room}&name=Bob`);
  using ann = await Client.connect(server.url, "msgpack", "name=Ann");
  await ann.join(room);
  expect(await answer(bob, "/who")).toBe(`2 users in ${room}: Bob, Ann`);
});

test("/help lists the commands", async () => {
  using bob = await connect();
  const help = await answer(bob, "/help");
  for (const command of ["/join", "/who", "/help", "//x"])
    expect(help).toContain(command);
});

test("//x says /x", async () => {
  using bob = await connect(`room=${freshRoom()}&name=Bob`);
  expect(await answer(bob, "//join nowhere")).toBe("[Bob]: /join nowhere");
  expect(await answer(bob, "//")).toBe("[Bob]: /");
});

test.each(["/dance", "/Join a", "/", "/joina", "/who?"])(
  "%p is no command, and is not said to the room",
  async (command) => {
    const room = freshRoom();
    using ann = await Client.connect(server.url, "json", `room=${room}`);
    await ann.nextAction("room_joined");
    using bob = await connect(`room=${room}&name=Bob`);
    const refused = await answer(bob, command);
    expect(refused).toStartWith("! ");
    expect(refused).toContain("/help");
    expect(await answer(bob, "said")).toBe("[Bob]: said");
    await event(ann, room, "said");
    const history = await ann.request({ action: "get_history", room });
    expect(history.messages.map((m: Message) => m.text)).toEqual(["said"]);
  },
);

describe("one trailing newline", () => {
  test.each([
    ["hi\n", "hi"],
    ["hi\r\n", "hi"],
    ["hi\n\n", "hi\n"],
    ["\nhi", "\nhi"],
    [" hi ", " hi "],
  ])("is taken off %p", async (sent, stored) => {
    const room = freshRoom();
    using ann = await Client.connect(server.url, "json", `room=${room}`);
    await ann.nextAction("room_joined");
    using bob = await connect(`room=${room}`);
    const seen = event(ann, room, stored);
    bob.send(sent);
    await seen;
  });

  test.each(["", "\n", "\r\n"])(
    "with nothing before it is an error: %p",
    async (sent) => {
      using bob = await connect();
      expect(await answer(bob, sent)).toStartWith("! ");
    },
  );
});

test("a message of several lines is one line, and control characters are left out", async () => {
  const room = freshRoom();
  using bob = await connectAndJoin(`room=${room}&name=Bob`);
  using ann = await Client.connect(server.url, "json", "name=Ann");
  await ann.join(room);
  const forged =
    "hi\n[Bob]: I owe\r\nyou\rall\u2028that\u2029I\u0085have\u001b[2J\u0000\u0007\u009b";
  const seen = bob.nextLine("[Ann]");
  await ann.say(room, forged);
  expect((await seen).line).toBe(
    "[Ann]: hi⏎[Bob]: I owe⏎you⏎all⏎that⏎I⏎have[2J",
  );
  expect(await answer(bob, "one\ntwo")).toBe("[Bob]: one⏎two");
});

test("a name cannot look like somebody else's line", async () => {
  const room = freshRoom();
  using bob = await connectAndJoin(`room=${room}`);
  using eve = await Client.connect(
    server.url,
    "json",
    `name=${encodeURIComponent("Bob]: yes [Eve")}`,
  );
  await eve.join(room);
  const seen = bob.nextLine("[");
  await eve.say(room, "x");
  expect((await seen).line).toBe("[Bob): yes (Eve]: x");
});

test("a binary frame is an error, and too many of them end the connection", async () => {
  using bob = await connect();
  bob.socket.send(new Uint8Array([1, 2, 3]));
  expect((await bob.nextLine("! ")).line).toContain("text frames only");
  for (let i = 0; i < 20; i++) bob.socket.send(new Uint8Array([1]));
  expect((await bob.closed).code).toBe(4000);
});

test("a text above its limit is an error", async () => {
  await using small = await InProcessServer.start("--max-text-bytes", "10");
  using bob = await connect("name=Bob", small);
  expect(await answer(bob, "x".repeat(11))).toMatch(/^! .*10/);
  expect(await answer(bob, "x".repeat(10))).toBe(`[Bob]: ${"x".repeat(10)}`);
});

test("what is sent too fast is an error that tells when to try again", async () => {
  await using slow = await InProcessServer.start(
    "--max-messages-per-second",
    "1",
  );
  using bob = await connect("name=Bob", slow);
  for (const text of ["one", "two", "three"]) bob.send(text);
  expect((await bob.nextLine("! ")).line).toMatch(/try again in \d+ ms/);
});

test("typing and presence of others are not shown", async () => {
  const room = freshRoom();
  using bob = await connect(`room=${room}&name=Bob`);
  using ann = await Client.connect(server.url, "json", "name=Ann");
  await ann.join(room);
  await ann.next((m) => m.action === "members_changed" && m.count === 2);
  ann.send({ action: "typing", room, active: true });
  await ann.say(room, "hi");
  await bob.nextLine("[Ann]: hi");
  expect(lines(bob).slice(1)).toEqual(["[Ann]: hi"]);
});

test("a server that shuts down says so in a line", async () => {
  await using leaving = await InProcessServer.start();
  using bob = await connect("", leaving);
  const told = bob.nextLine("! the server restarts: come back in ");
  await leaving.stop();
  expect((await told).line).toMatch(/in \d+ s$/);
  expect((await bob.closed).code).toBe(1012);
});
