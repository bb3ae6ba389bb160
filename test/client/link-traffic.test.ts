// Proves what crosses the one socket, and what ends it, against a real server on the loopback.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Link } from "../../client/engine/link.ts";
import { encodeFrame, type ServerFrame } from "../../schemas/frames.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { REFUSALS, Refusal, type RefusalCode } from "../../schemas/refusal.ts";
import { CountingTokens, LinkBench, READY } from "../support/link-bench.ts";

let bench: LinkBench;
beforeEach(async () => {
  bench = await LinkBench.start();
});
afterEach(() => bench.stop());

describe("refusals", () => {
  const codes = Object.keys(REFUSALS) as RefusalCode[];
  const remedyOf = (code: RefusalCode) => REFUSALS[code].remedy;
  const terminal = (code: RefusalCode) => ["give_up", "update"].includes(remedyOf(code));

  test.for(codes)("N6: a socket closed with %s is handled by its remedy", async (code) => {
    const { near, there } = await bench.connect();
    there.socket.close(4000, code);
    expect(await near.closed.next()).toEqual({ code: 4000, refusal: code, terminal: terminal(code) });
    expect(near.tokens.dropped).toEqual(remedyOf(code) === "sign_in" ? ["t1"] : []);
    bench.clock.advance(400);
    if (terminal(code)) {
      near.link.wake();
      bench.clock.advance(3_600_000);
      expect(near.tokens.issued).toBe(1);
      expect(near.closed.size).toBe(0);
    } else {
      const { request } = await bench.accept();
      const token = remedyOf(code) === "sign_in" ? "t2" : "t1";
      expect(request.headers["sec-websocket-protocol"]).toBe(`kuvert.1, token.${token}`);
    }
  });

  test("N6: a token that cannot be had ends the link only when its refusal does", async () => {
    const tokens = new CountingTokens();
    tokens.failure = new Refusal("unavailable");
    const near = bench.start({ tokens });
    expect(await near.closed.next()).toEqual({ code: 1006, refusal: null, terminal: false });
    tokens.failure = new Refusal("rate_limited");
    bench.clock.advance(bench.clock.untilNext ?? 0);
    expect(await near.closed.next()).toEqual({ code: 1006, refusal: "rate_limited", terminal: false });
    tokens.failure = new Refusal("device_revoked");
    bench.clock.advance(bench.clock.untilNext ?? 0);
    expect(await near.closed.next()).toEqual({ code: 1006, refusal: "device_revoked", terminal: true });
    expect(bench.clock.untilNext).toBe(undefined);
  });

  test("N6: an unknown reason, and any other close code, is a broken connection", async () => {
    const endings = [
      [4000, "tea_time"],
      [4000, "__proto__"],
      [4999, "device_revoked"],
      [1000, ""],
      [1001, "going away"],
      [1011, ""],
      [1012, ""],
    ] as const;
    const near = bench.start();
    for (const [code, reason] of endings) {
      const { socket } = await bench.accept();
      await near.opened.next();
      near.link.resumed();
      socket.close(code, reason);
      expect(await near.closed.next()).toEqual({ code, refusal: null, terminal: false });
      bench.clock.advance(400);
    }
  });

  test("N6: a socket that breaks off or is closed without a code gets no reserved code back", async () => {
    const near = bench.start();
    for (const end of ["terminate", "close"] as const) {
      const there = await bench.accept();
      await near.opened.next();
      there.socket[end]();
      expect(await near.closed.next()).toMatchObject({ refusal: null, terminal: false });
      expect([1000, 1005, 1006]).toContain((await there.closed.next()).code);
      near.link.resumed();
      bench.clock.advance(800);
    }
  });
});

describe("what the server may not send", () => {
  const wrong: [string, string, Uint8Array | string][] = [
    ["text", "malformed", "hello"],
    ["nothing", "malformed", new Uint8Array()],
    ["no CBOR", "malformed", Uint8Array.of(0xff, 0xff)],
    ["a frame of the other direction", "malformed", encodeFrame({ type: "pull", after: 0 })],
    ["a frame with something left over", "malformed", Uint8Array.of(...encodeFrame(READY), 0)],
    ["a frame cut short", "malformed", encodeFrame(READY).slice(0, -1)],
    ["a frame above the cap", "too_large", new Uint8Array(LIMITS.frameBytes + 1)],
  ];
  test.for(wrong)(
    "N7: %s ends the socket with %s, is reported, and is no reason to give up",
    async ([, code, bytes]) => {
      const { near, there } = await bench.connect();
      there.socket.send(bytes);
      there.socket.send(encodeFrame(READY));
      expect(await near.closed.next()).toEqual({ code: 4000, refusal: code, terminal: false });
      expect(await there.closed.next()).toEqual({ code: 4000, reason: code });
      expect(near.frames.size).toBe(0);
      bench.clock.advance(400);
      await bench.accept();
      await near.opened.next();
    },
  );

  test("N7: a thousand frames with one byte changed each are read, or end the socket; nothing is thrown", async () => {
    const bytes = encodeFrame(READY);
    const near = bench.start();
    let { socket } = await bench.accept();
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
        ({ socket } = await bench.accept());
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

  test("N8: says no before the socket is open and after it has closed", async () => {
    const near = bench.start();
    expect(near.link.send({ type: "pull", after: 0 })).toBe(false);
    const there = await bench.accept();
    await near.opened.next();
    expect(near.link.send({ type: "pull", after: 1 })).toBe(true);
    expect(await there.frames.next()).toEqual({ type: "pull", after: 1 });
    there.socket.close();
    await near.closed.next();
    expect(near.link.send({ type: "pull", after: 2 })).toBe(false);
  });

  test("N8: says no when the network takes no more, and tells when there is room", async () => {
    const { near, there } = await bench.connect();
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
    bench.clock.advance(50);
    await near.room.next();
    expect(near.link.send(big())).toBe(true);
  });

  test("N8: a frame above the cap is refused to its maker", async () => {
    const { near } = await bench.connect();
    const frame = {
      ...big(),
      welcomes: Array.from({ length: 3 }, () => ({ devices: [], bytes: new Uint8Array(LIMITS.commitBytes) })),
    };
    expect(() => near.link.send(frame)).toThrow(expect.objectContaining({ code: "too_large" }));
  });
});
