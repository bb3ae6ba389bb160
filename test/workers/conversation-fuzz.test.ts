// Bad frames by the thousand against the real objects: always a documented refusal or a close, never an unhandled failure; what is
// stored does not change, and everybody else is served.

import { runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { toHex, utf8 } from "../../schemas/bytes.ts";
import { MailboxServerFrame, type ServerFrame } from "../../schemas/frames.ts";
import { newId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { Line } from "./support/line.ts";
import { malformed } from "./support/malformed.ts";
import { privateMessage } from "./support/mls-bytes.ts";
import { device, Room } from "./support/room.ts";

const FRAMES = 4_000;
const SEED = 20_261_122;
const id = new Uint8Array(16);

/** Everything an object has stored, except what only counts. */
const dump = (stub: DurableObjectStub, tables: readonly string[]) =>
  runInDurableObject(stub, (_, { storage }) =>
    tables.map((table) =>
      JSON.stringify(storage.sql.exec(`SELECT * FROM ${table}`).toArray(), (_key, value: unknown) =>
        value instanceof ArrayBuffer ? toHex(new Uint8Array(value)) : value,
      ),
    ),
  );

/** Says frames until the socket is closed or nothing is left; returns the codes that came back, the reason for a close last. */
async function assault<Schema extends typeof ServerFrame | typeof MailboxServerFrame>(
  line: Line<Schema>,
  frames: Uint8Array[],
) {
  let closed = "";
  void line.closed.then(({ reason }) => {
    closed = reason;
  });
  while (frames.length > 0 && closed === "") {
    for (const frame of frames.splice(0, 10)) line.raw(frame);
    await scheduler.wait(0);
  }
  line.close();
  await line.closed;
  const codes = line.unread().flatMap((frame) => (frame.type === "refused" ? [frame.code] : []));
  return closed === "" ? codes : [...codes, closed];
}

test("F14: bad frames change nothing, disturb nobody and are never a bug", { timeout: 120_000 }, async () => {
  const bug = vi.spyOn(console, "error");
  const intruder = device();
  const { room, first } = await Room.full(device());
  await room.stub.admit({ by: room.founder.member, member: intruder.member });
  const bytes = privateMessage({ conversation: room.conversation, epoch: 1 }, "x");
  const good = [
    { type: "resume", after: 0 },
    { type: "send", id, bytes, expiresIn: 60_000 },
    first.commitFrame({ epoch: 1, sender: 0 }) as unknown as Record<string, unknown>,
    first.commitFrame({ epoch: 1, sender: null, joiner: room.founder, removed: [0] }) as unknown as Record<
      string,
      unknown
    >,
    { type: "confirm", seq: 0 },
    { type: "pull", after: 0 },
    { type: "group_info" },
  ];
  const frames = fc.sample(malformed(good), { numRuns: FRAMES, seed: SEED });
  const tables = ["log", "log_head", "group_info", "seats", "participants", "expelled", "charter"];
  const before = await dump(room.stub, tables);
  const seen = new Set<string>();
  let turns = 0;
  while (frames.length > 0) {
    const peer = await room.enter(device(intruder.member));
    for (const code of await assault(peer.socket, frames)) seen.add(code);
    if (turns++ % 50 === 0) expect((await first.resumeAgain()).head.seq).toBe(1);
  }
  expect(await dump(room.stub, tables)).toEqual(before);
  expect([...seen].sort()).toEqual(
    ["commit_forbidden", "forbidden", "malformed", "stale_epoch", "stale_generation"].sort(),
  );
  expect(bug).not.toHaveBeenCalled();
});

test("F15: a frame above the cap is refused unread, text is refused, and twenty such end the socket", async () => {
  const { first } = await Room.full(device());
  first.socket.raw(new Uint8Array(LIMITS.frameBytes + 1));
  expect(await first.refusal()).toMatchObject({ code: "too_large", id: null });
  first.socket.raw("hello");
  expect(await first.refusal()).toMatchObject({ code: "malformed" });
  for (let turn = 0; turn < 18; turn++) first.socket.raw("{}");
  expect(await first.socket.closed).toEqual({ code: 4000, reason: "malformed" });
});

test("F16: a refused send or commit is named by its id where that can be read", async () => {
  const { first } = await Room.full(device());
  const bytes = privateMessage({ conversation: newId(), epoch: 1 }, "x".repeat(LIMITS.envelopeBytes));
  first.socket.say({ type: "send", id: id.slice(), bytes });
  expect(await first.refusal()).toMatchObject({ code: "malformed", id });
});

test("F17: bad frames to a mailbox change nothing and are never a bug", { timeout: 120_000 }, async () => {
  const bug = vi.spyOn(console, "error");
  const room = new Room();
  await room.openMailbox(room.founder);
  const mailbox = room.mailbox(room.founder.member);
  await mailbox.nudge({ kind: "directory" });
  const welcome = {
    conversation: newId<never>(),
    generation: 0,
    seq: 1,
    hash: new Uint8Array(32),
    bytes: utf8("welcome"),
  };
  await mailbox.welcome({ devices: [room.founder.device], ...welcome });
  const good = [
    { type: "resume", after: 0 },
    { type: "confirm", welcome: 99 },
  ];
  const frames = fc.sample(malformed(good), { numRuns: 1_000, seed: SEED });
  const before = await dump(mailbox, ["nudges", "welcomes", "counter", "key_packages"]);
  while (frames.length > 0) {
    const line = await Line.open(mailbox, room.claims(device(room.founder.member)), MailboxServerFrame);
    line.say({ type: "resume", after: 0 });
    expect(["malformed", "rate_limited"]).toEqual(expect.arrayContaining([...new Set(await assault(line, frames))]));
  }
  expect(await dump(mailbox, ["nudges", "welcomes", "counter", "key_packages"])).toEqual(before);
  expect(bug).not.toHaveBeenCalled();
});
