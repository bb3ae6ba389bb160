// How a conversation's socket is given up when what left on it is not answered: a socket that does what the test says, on a clock that only it moves.

import { beforeEach, describe, expect, test } from "vitest";
import { Line } from "../../client/engine/line.ts";
import type { Ending } from "../../client/engine/link.ts";
import type { Surroundings } from "../../client/engine/surroundings.ts";
import { GENESIS } from "../../schemas/chain.ts";
import {
  type ClientFrame,
  type CommitFrame,
  decodeFrame,
  type Envelope,
  encodeFrame,
  ClientFrame as ReadableClientFrame,
  type SendFrame,
  type ServerFrame,
} from "../../schemas/frames.ts";
import { type ConversationId, newId } from "../../schemas/ids.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** One socket, open at once. */
class Socket {
  readonly readyState = 1;
  bufferedAmount = 0;
  readonly said: (ClientFrame | undefined)[] = [];
  isClosed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (typeof data !== "string") this.said.push(decodeFrame(ReadableClientFrame, data));
  }

  close(): void {
    this.isClosed = true;
  }

  tell(frame: ServerFrame): void {
    this.onmessage?.({ data: new Uint8Array(encodeFrame(frame)).buffer });
  }
}

const at = (n: number) => new Uint8Array(16).fill(n);
const send = (n: number): SendFrame => ({ type: "send", id: at(n), bytes: at(n) });
const commit = (n: number): CommitFrame => ({
  type: "commit",
  id: at(n),
  bytes: at(n),
  welcomes: [],
  groupInfo: at(n),
});
const envelope = (n: number): Envelope => ({
  id: at(n),
  seq: n,
  bytes: at(n),
  digest: null,
  acceptedAt: 0,
  expiresAt: null,
});
const echo = (n: number): ServerFrame => ({
  type: "envelopes",
  envelopes: [envelope(n)],
  hash: GENESIS,
  head: n,
  delivered: 0,
  now: 0,
});
const head = { seq: 0, hash: GENESIS, generation: 0, epoch: 0 };
const READY: ServerFrame = { type: "ready", head, first: 1, delivered: 0, confirmed: 0, now: 0 };

let clock: ManualClock;
let sockets: Socket[];
let endings: Ending[];
let line: Line;

/** Opens the next socket; the server answers that there is nothing new. */
async function opened(): Promise<Socket> {
  clock.advance(400);
  await expect.poll(() => sockets.length).toBe(endings.length + 1);
  const socket = sockets.at(-1) as Socket;
  await expect.poll(() => socket.onopen).not.toBeNull();
  socket.onopen?.();
  socket.tell(READY);
  return socket;
}

/** Lets time pass while others talk. */
function talk(socket: Socket, ms: number): void {
  for (let passed = 0; passed < ms; passed += 1_000) {
    clock.advance(1_000);
    if (!socket.isClosed) socket.tell({ type: "delivered", seq: 1 });
  }
}

beforeEach(async () => {
  clock = new ManualClock();
  sockets = [];
  endings = [];
  const dial = async () => {
    const socket = new Socket();
    sockets.push(socket);
    return socket as unknown as WebSocket;
  };
  line = new Line({
    conversation: newId<ConversationId>(),
    surroundings: { clock, dialer: () => ({ dial, drop: () => undefined }) } as unknown as Surroundings,
    cursor: () => 0,
    waiting: () => 0,
    onFrame: () => undefined,
    onOpen: () => undefined,
    onClose: (ending) => endings.push(ending),
    onRoom: () => undefined,
  });
  line.open();
});

describe("N23: what is not answered on a socket that lives", () => {
  const unanswered: [string, ClientFrame][] = [
    ["a send", send(1)],
    ["a commit", commit(1)],
    ["a question for the group", { type: "group_info" }],
    ["a question for a page", { type: "pull", after: 0 }],
  ];
  test.for(unanswered)("N23: %s ends it after 40 s, whatever others say meanwhile", async ([, frame]) => {
    const socket = await opened();
    expect(line.send(frame)).toBe(true);
    talk(socket, 39_000);
    expect(endings).toEqual([]);
    talk(socket, 1_000);
    expect(socket.isClosed).toBe(true);
    expect(endings).toEqual([{ code: 1006, refusal: null, terminal: false }]);
    const next = await opened();
    expect(line.send(frame)).toBe(true);
    expect(next.said).toEqual([{ type: "resume", after: 0 }, frame]);
  });

  const answers: [string, ClientFrame, ServerFrame][] = [
    ["its echo", send(1), echo(1)],
    ["word that it is stored already", send(1), { type: "accepted", id: at(1), seq: 1 }],
    ["a refusal", commit(1), { type: "refused", id: at(1), code: "stale_epoch", detail: { epoch: 2 } }],
    ["the group", { type: "group_info" }, { type: "group_info", bytes: null, head }],
    ["a page", { type: "pull", after: 0 }, echo(7)],
    [
      "a refusal of a question",
      { type: "group_info" },
      { type: "refused", id: null, code: "rate_limited", detail: {} },
    ],
  ];
  test.for(answers)("N23: %s is an answer", async ([, frame, answer]) => {
    const socket = await opened();
    line.send(frame);
    talk(socket, 39_000);
    socket.tell(answer);
    talk(socket, 3_600_000);
    expect(endings).toEqual([]);
    // Nothing is left of the watch
    expect(clock.untilNext).toBe(25_000);
  });

  test("N23: what was answered does not count for what was not, and each has its own time", async () => {
    const socket = await opened();
    line.send(send(1));
    talk(socket, 30_000);
    line.send(send(2));
    socket.tell(echo(1));
    talk(socket, 39_000);
    expect(endings).toEqual([]);
    talk(socket, 1_000);
    expect(endings).toHaveLength(1);
  });

  test("N23: a confirmation asks for no answer", async () => {
    const socket = await opened();
    line.send({ type: "confirm", seq: 1 });
    talk(socket, 3_600_000);
    expect(endings).toEqual([]);
  });

  test("N23: while bytes are leaving, a slow way is given time; when no more leave, it is not", async () => {
    const socket = await opened();
    socket.bufferedAmount = 900;
    line.send(send(1));
    for (let left = 800; left >= 500; left -= 100) {
      socket.bufferedAmount = left;
      talk(socket, left === 800 ? 40_000 : 10_000);
      expect(endings).toEqual([]);
    }
    talk(socket, 10_000);
    expect(endings).toHaveLength(1);
  });

  test("N23: a new socket that does not help is given twice as long, up to 640 s, until something is answered", async () => {
    for (const wait of [40, 80, 160, 320, 640, 640]) {
      const socket = await opened();
      line.send(send(1));
      const before = endings.length;
      talk(socket, wait * 1_000 - 1_000);
      expect(endings).toHaveLength(before);
      talk(socket, 1_000);
      expect(endings).toHaveLength(before + 1);
    }
    const socket = await opened();
    line.send(send(1));
    socket.tell(echo(1));
    line.send(send(2));
    talk(socket, 40_000);
    expect(endings).toHaveLength(7);
  });

  test("N23: nothing is watched on a socket that is gone, and a clock that is set back keeps nobody waiting", async () => {
    const socket = await opened();
    line.send(send(1));
    socket.onclose?.({ code: 1006, reason: "" });
    const next = await opened();
    talk(next, 3_600_000);
    expect(endings).toHaveLength(1);
    line.send(send(2));
    const now = clock.now.bind(clock);
    clock.now = () => now() - 86_400_000;
    talk(next, 40_000);
    expect(endings).toHaveLength(2);
    line.close();
    expect(clock.untilNext).toBe(undefined);
  });
});
