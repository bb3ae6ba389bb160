// Proves the one socket against a real server on the loopback, on a clock that only the test moves.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RawData, WebSocket as ServerSocket } from "ws";
import { createDialer } from "../../client/engine/dialer.ts";
import { type Dialer, type Ending, Link } from "../../client/engine/link.ts";
import type { Tokens } from "../../client/engine/token.ts";
import { ClientFrame, decodeFrame, encodeFrame, ServerFrame } from "../../schemas/frames.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { REFUSALS, Refusal, type RefusalCode } from "../../schemas/refusal.ts";
import { type Loopback, Queue, startLoopback } from "../support/loopback.ts";
import { ManualClock } from "../support/manual-clock.ts";

let server: Loopback;
let clock: ManualClock;
const links: Link<typeof ServerFrame>[] = [];
beforeEach(async () => {
  clock = new ManualClock();
  server = await startLoopback();
});
afterEach(async () => {
  for (const link of links.splice(0)) link.close();
  await server.stop();
});

const head = { seq: 0, hash: new Uint8Array(32), epoch: 0, generation: 0 };
const ready: ServerFrame = { type: "ready", head, first: 0, delivered: 0, now: 5 };

/** Tokens t1, t2, … : a new one whenever the last was dropped. */
class CountingTokens implements Tokens {
  issued = 0;
  dropped: string[] = [];
  failure: unknown;
  async get(): Promise<string> {
    if (this.failure !== undefined) throw this.failure;
    if (this.issued === this.dropped.length) this.issued++;
    return `t${this.issued}`;
  }
  drop(token: string): void {
    this.dropped.push(token);
  }
  adopt(): void {}
}

interface Start {
  readonly tokens?: CountingTokens;
  readonly dialer?: Dialer;
  readonly network?: EventTarget;
}

function start({ tokens = new CountingTokens(), network, dialer }: Start = {}) {
  const events = {
    opened: new Queue<true>(),
    frames: new Queue<ServerFrame>(),
    closed: new Queue<Ending>(),
    room: new Queue<true>(),
    /** One for every frame and every ending. */
    heard: new Queue<true>(),
  };
  const link = new Link({
    dialer: dialer ?? createDialer({ server: server.url, path: "/api/mailbox/socket", tokens }),
    schema: ServerFrame,
    onOpen: () => events.opened.push(true),
    onFrame: (frame) => {
      events.frames.push(frame);
      events.heard.push(true);
    },
    onClose: (ending) => {
      events.closed.push(ending);
      events.heard.push(true);
    },
    onRoom: () => events.room.push(true),
    clock,
    ...(network !== undefined && { network }),
  });
  links.push(link);
  return { link, tokens, ...events };
}

/** The server's side of one socket. */
function far(socket: ServerSocket) {
  const texts = new Queue<string>();
  const frames = new Queue<ClientFrame | undefined>();
  const closed = new Queue<{ code: number; reason: string }>();
  socket.on("message", (data: RawData, binary: boolean) => {
    if (binary) frames.push(decodeFrame(ClientFrame, data as Buffer));
    else texts.push(data.toString());
  });
  socket.on("close", (code, reason) => closed.push({ code, reason: reason.toString() }));
  return { socket, texts, frames, closed };
}

async function accept() {
  const { socket, request } = await server.sockets.next();
  return { ...far(socket), request };
}

async function connect(options?: Start) {
  const near = start(options);
  const there = await accept();
  await near.opened.next();
  return { near, there };
}

describe("dialling", () => {
  test("C1 offers its versions and carries the token as subprotocol, never in the address", async () => {
    const { near, there } = await connect();
    expect(there.request.headers["sec-websocket-protocol"]).toBe("kuvert.1, token.t1");
    expect(there.request.url).toBe("/api/mailbox/socket");
    expect(near.link.open).toBe(true);
  });

  test("C1 frames cross both ways as binary CBOR, in order", async () => {
    const { near, there } = await connect();
    for (let after = 0; after < 20; after++) expect(near.link.send({ type: "pull", after })).toBe(true);
    for (let after = 0; after < 20; after++) expect(await there.frames.next()).toEqual({ type: "pull", after });
    for (let seq = 0; seq < 20; seq++) there.socket.send(encodeFrame({ type: "delivered", seq }));
    for (let seq = 0; seq < 20; seq++) expect(await near.frames.next()).toEqual({ type: "delivered", seq });
  });

  test("C2 waits between 0.2 s and a ceiling that doubles up to 30 s, with full jitter", async () => {
    const dial = () => Promise.reject(new Refusal("unavailable"));
    for (const chance of [0, 0.25, 1]) {
      clock.chance = chance;
      const near = start({ dialer: { dial, drop: () => undefined } });
      for (const ceiling of [400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000]) {
        expect(await near.closed.next()).toEqual({ code: 1006, refusal: null, terminal: false });
        const delay = clock.untilNext ?? 0;
        expect(delay).toBeCloseTo(200 + chance * (ceiling - 200));
        clock.advance(delay - 1);
        expect(near.closed.size).toBe(0);
        clock.advance(1);
      }
      near.link.close();
    }
  });

  test("C2 a server that is not there is tried again until it is", async () => {
    const port = Number(new URL(server.url).port);
    await server.stop();
    const near = start();
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(await near.closed.next()).toMatchObject({ refusal: null, terminal: false });
      if (attempt === 2) server = await startLoopback(port);
      clock.advance(clock.untilNext ?? 0);
    }
    await accept();
    await near.opened.next();
    expect(near.link.open).toBe(true);
  });

  test("C2 an upgrade that nobody answers is given up after 20 s", async () => {
    server.upgrades = false;
    const near = start();
    await Promise.resolve();
    clock.advance(19_999);
    expect(near.closed.size).toBe(0);
    clock.advance(1);
    expect(await near.closed.next()).toEqual({ code: 1006, refusal: null, terminal: false });
  });

  /** A link that has failed three times and then got through. */
  async function connectAfterFailures() {
    clock.chance = 1;
    const near = start();
    for (const delay of [400, 800, 1_600]) {
      (await accept()).socket.terminate();
      await near.closed.next();
      expect(clock.untilNext).toBe(delay);
      clock.advance(delay);
    }
    const there = await accept();
    while (!near.link.open) await near.opened.next();
    return { near, there };
  }

  async function delayAfterLoss({ near, there }: Awaited<ReturnType<typeof connectAfterFailures>>) {
    there.socket.terminate();
    await near.closed.next();
    return clock.untilNext;
  }

  test("C3 the next back-off starts small again after a successful resume, and not before", async () => {
    expect(await delayAfterLoss(await connectAfterFailures())).toBe(3_200);
    const good = await connectAfterFailures();
    good.near.link.resumed();
    expect(await delayAfterLoss(good)).toBe(400);
  });

  test("C3 a socket that has been open for a minute counts as good", async () => {
    const stable = await connectAfterFailures();
    for (const ms of [25_000, 25_000, 10_000]) {
      clock.advance(ms);
      if (ms === 25_000) await answerPing(stable);
    }
    expect(await delayAfterLoss(stable)).toBe(400);
  });
});

/** Answers the ping that is on its way, and returns when the answer has been heard. */
async function answerPing({ near, there }: Awaited<ReturnType<typeof connect>>): Promise<void> {
  expect(await there.texts.next()).toBe("ping");
  there.socket.send("pong");
  await hear({ near, there });
}

async function hear({ near, there }: Awaited<ReturnType<typeof connect>>): Promise<void> {
  there.socket.send(encodeFrame(ready));
  expect(await near.frames.next()).toEqual(ready);
}

describe("heartbeat", () => {
  test("C4 asks for a sign of life after 25 s of silence, and any frame counts as one", async () => {
    const both = await connect();
    clock.advance(20_000);
    await hear(both);
    clock.advance(24_999);
    await hear(both);
    expect(both.there.texts.size).toBe(0);
    clock.advance(25_000);
    await answerPing(both);
    clock.advance(24_999);
    expect(both.near.link.open).toBe(true);
  });

  test("C4 a server that does not answer within 10 s is given up for lost and dialled again", async () => {
    const { near, there } = await connect();
    clock.advance(25_000);
    expect(await there.texts.next()).toBe("ping");
    clock.advance(9_999);
    expect(near.link.open).toBe(true);
    clock.advance(1);
    expect(await near.closed.next()).toEqual({ code: 1006, refusal: null, terminal: false });
    expect(near.link.open).toBe(false);
    expect(near.link.send({ type: "pull", after: 0 })).toBe(false);
    clock.advance(400);
    await accept();
    await near.opened.next();
  });

  test("C5 the platform's `online` dials at once, or asks an open socket for a sign of life", async () => {
    const network = new EventTarget();
    const both = await connect({ network });
    network.dispatchEvent(new Event("online"));
    await answerPing(both);
    both.there.socket.terminate();
    await both.near.closed.next();
    network.dispatchEvent(new Event("online"));
    await accept();
    await both.near.opened.next();
    both.near.link.close();
    network.dispatchEvent(new Event("online"));
    expect(both.near.link.open).toBe(false);
    expect(clock.untilNext).toBe(undefined);
  });
});

describe("refusals", () => {
  const codes = Object.keys(REFUSALS) as RefusalCode[];
  const remedyOf = (code: RefusalCode) => REFUSALS[code].remedy;
  const terminal = (code: RefusalCode) => ["give_up", "update"].includes(remedyOf(code));

  test.for(codes)("C6 a socket closed with %s is handled by its remedy", async (code) => {
    const { near, there } = await connect();
    there.socket.close(4000, code);
    expect(await near.closed.next()).toEqual({ code: 4000, refusal: code, terminal: terminal(code) });
    expect(near.tokens.dropped).toEqual(remedyOf(code) === "sign_in" ? ["t1"] : []);
    clock.advance(400);
    if (terminal(code)) {
      near.link.wake();
      clock.advance(3_600_000);
      expect(near.tokens.issued).toBe(1);
      expect(near.closed.size).toBe(0);
    } else {
      const { request } = await accept();
      const token = remedyOf(code) === "sign_in" ? "t2" : "t1";
      expect(request.headers["sec-websocket-protocol"]).toBe(`kuvert.1, token.${token}`);
    }
  });

  test("C6 a token that cannot be had ends the link only when its refusal does", async () => {
    const tokens = new CountingTokens();
    tokens.failure = new Refusal("unavailable");
    const near = start({ tokens });
    expect(await near.closed.next()).toEqual({ code: 1006, refusal: null, terminal: false });
    tokens.failure = new Refusal("rate_limited");
    clock.advance(clock.untilNext ?? 0);
    expect(await near.closed.next()).toEqual({ code: 1006, refusal: "rate_limited", terminal: false });
    tokens.failure = new Refusal("device_revoked");
    clock.advance(clock.untilNext ?? 0);
    expect(await near.closed.next()).toEqual({ code: 1006, refusal: "device_revoked", terminal: true });
    expect(clock.untilNext).toBe(undefined);
  });

  test("C6 an unknown reason, and any other close code, is a broken connection", async () => {
    const endings = [
      [4000, "tea_time"],
      [4000, "__proto__"],
      [4999, "device_revoked"],
      [1000, ""],
      [1001, "going away"],
      [1011, ""],
      [1012, ""],
    ] as const;
    const near = start();
    for (const [code, reason] of endings) {
      const { socket } = await accept();
      await near.opened.next();
      near.link.resumed();
      socket.close(code, reason);
      expect(await near.closed.next()).toEqual({ code, refusal: null, terminal: false });
      clock.advance(400);
    }
  });

  test("C6 a socket that breaks off or is closed without a code gets no reserved code back", async () => {
    const near = start();
    for (const end of ["terminate", "close"] as const) {
      const there = await accept();
      await near.opened.next();
      there.socket[end]();
      expect(await near.closed.next()).toMatchObject({ refusal: null, terminal: false });
      expect([1000, 1005, 1006]).toContain((await there.closed.next()).code);
      near.link.resumed();
      clock.advance(800);
    }
  });
});

describe("what the server may not send", () => {
  const wrong: [string, string, Uint8Array | string][] = [
    ["text", "malformed", "hello"],
    ["nothing", "malformed", new Uint8Array()],
    ["no CBOR", "malformed", Uint8Array.of(0xff, 0xff)],
    ["a frame of the other direction", "malformed", encodeFrame({ type: "pull", after: 0 })],
    ["a frame with something left over", "malformed", Uint8Array.of(...encodeFrame(ready), 0)],
    ["a frame cut short", "malformed", encodeFrame(ready).slice(0, -1)],
    ["a frame above the cap", "too_large", new Uint8Array(LIMITS.frameBytes + 1)],
  ];
  test.for(wrong)(
    "C7 %s ends the socket with %s, is reported, and is no reason to give up",
    async ([, code, bytes]) => {
      const { near, there } = await connect();
      there.socket.send(bytes);
      there.socket.send(encodeFrame(ready));
      expect(await near.closed.next()).toEqual({ code: 4000, refusal: code, terminal: false });
      expect(await there.closed.next()).toEqual({ code: 4000, reason: code });
      expect(near.frames.size).toBe(0);
      clock.advance(400);
      await accept();
      await near.opened.next();
    },
  );

  test("C7 a thousand frames with one byte changed each are read, or end the socket; nothing is thrown", async () => {
    const bytes = encodeFrame(ready);
    const near = start();
    let { socket } = await accept();
    let [read, ended] = [0, 0];
    for (let round = 0; round < 1_000; round++) {
      const changed = bytes.slice();
      changed[(round * 7) % bytes.length] = (round * 131) % 256;
      socket.send(changed);
      await near.heard.next();
      if (near.closed.size === 0) {
        await near.frames.next();
        read++;
      } else {
        expect(await near.closed.next()).toMatchObject({ code: 4000, refusal: "malformed" });
        ended++;
        near.link.wake();
        ({ socket } = await accept());
      }
    }
    expect(read).toBeGreaterThan(100);
    expect(ended).toBeGreaterThan(100);
  });
});

describe("sending", () => {
  const big = (): Parameters<Link<typeof ServerFrame>["send"]>[0] => ({
    type: "commit",
    id: new Uint8Array(16),
    bytes: new Uint8Array(LIMITS.commitBytes),
    welcomes: [],
    groupInfo: new Uint8Array(LIMITS.commitBytes),
  });

  test("C8 says no before the socket is open and after it has closed", async () => {
    const near = start();
    expect(near.link.send({ type: "pull", after: 0 })).toBe(false);
    const there = await accept();
    await near.opened.next();
    expect(near.link.send({ type: "pull", after: 1 })).toBe(true);
    expect(await there.frames.next()).toEqual({ type: "pull", after: 1 });
    there.socket.close();
    await near.closed.next();
    expect(near.link.send({ type: "pull", after: 2 })).toBe(false);
  });

  test("C8 says no when the network takes no more, and tells when there is room", async () => {
    const { near, there } = await connect();
    there.socket.pause();
    let sent = 0;
    while (near.link.send(big())) {
      sent++;
      // Lets the socket hand over what the system takes
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBeGreaterThan(0);
    expect(near.room.size).toBe(0);
    there.socket.resume();
    for (let count = 0; count < sent; count++) expect((await there.frames.next())?.type).toBe("commit");
    clock.advance(50);
    await near.room.next();
    expect(near.link.send(big())).toBe(true);
  });

  test("C8 a frame above the cap is refused to its maker", async () => {
    const { near } = await connect();
    const frame = {
      ...big(),
      welcomes: Array.from({ length: 3 }, () => ({ devices: [], bytes: new Uint8Array(LIMITS.commitBytes) })),
    };
    expect(() => near.link.send(frame)).toThrow(expect.objectContaining({ code: "too_large" }));
  });
});

describe("closing", () => {
  test("C9 a closed link says goodbye, calls nobody and dials no more", async () => {
    const { near, there } = await connect();
    near.link.close();
    there.socket.send(encodeFrame(ready));
    expect(await there.closed.next()).toEqual({ code: 1000, reason: "" });
    near.link.wake();
    expect([near.frames.size, near.closed.size, clock.untilNext]).toEqual([0, 0, undefined]);
    expect(near.tokens.issued).toBe(1);
  });

  test("C9 a link closed while it waits for its token closes the socket it then gets", async () => {
    let made: WebSocket | undefined;
    const token = Promise.withResolvers<void>();
    const dial = async (): Promise<WebSocket> => {
      await token.promise;
      made = new WebSocket(server.url.replace("http", "ws"), ["kuvert.1"]);
      return made;
    };
    const near = start({ dialer: { dial, drop: () => undefined } });
    near.link.close();
    token.resolve();
    while (made === undefined) await Promise.resolve();
    await new Promise((resolve) => made?.addEventListener("close", resolve));
    expect([near.opened.size, near.closed.size]).toEqual([0, 0]);
  });
});
