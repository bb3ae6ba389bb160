// Proves how the one socket is dialled, kept and closed, against a real server on the loopback and on a clock that only the test moves.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeFrame } from "../../schemas/frames.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { type Connected, LinkBench, READY } from "../support/link-bench.ts";
import { startLoopback } from "../support/loopback.ts";

let bench: LinkBench;
beforeEach(async () => {
  bench = await LinkBench.start();
});
afterEach(() => bench.stop());

describe("dialling", () => {
  test("N1: offers its versions and carries the token as subprotocol, never in the address", async () => {
    const { near, there } = await bench.connect();
    expect(there.request.headers["sec-websocket-protocol"]).toBe("kuvert.1, token.t1");
    expect(there.request.url).toBe("/api/mailbox/socket");
    expect(near.link.open).toBe(true);
  });

  test("N1: frames cross both ways as binary CBOR, in order", async () => {
    const { near, there } = await bench.connect();
    for (let after = 0; after < 20; after++) expect(near.link.send({ type: "pull", after })).toBe(true);
    for (let after = 0; after < 20; after++) expect(await there.frames.next()).toEqual({ type: "pull", after });
    for (let seq = 0; seq < 20; seq++) there.socket.send(encodeFrame({ type: "delivered", seq }));
    for (let seq = 0; seq < 20; seq++) expect(await near.frames.next()).toEqual({ type: "delivered", seq });
  });

  test("N2: waits between 0.2 s and a ceiling that doubles up to 30 s, with full jitter", async () => {
    const dial = () => Promise.reject(new Refusal("unavailable"));
    for (const chance of [0, 0.25, 1]) {
      bench.clock.chance = chance;
      const near = bench.start({ dialer: { dial, drop: () => undefined } });
      for (const ceiling of [400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000]) {
        expect(await near.closed.next()).toEqual({ code: 1006, refusal: null, terminal: false });
        const delay = bench.clock.untilNext ?? 0;
        expect(delay).toBeCloseTo(200 + chance * (ceiling - 200));
        bench.clock.advance(delay - 1);
        expect(near.closed.size).toBe(0);
        bench.clock.advance(1);
      }
      near.link.close();
    }
  });

  test("N2: a server that is not there is tried again until it is", async () => {
    const port = Number(new URL(bench.server.url).port);
    await bench.server.stop();
    const near = bench.start();
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(await near.closed.next()).toMatchObject({ refusal: null, terminal: false });
      if (attempt === 2) bench.server = await startLoopback(port);
      bench.clock.advance(bench.clock.untilNext ?? 0);
    }
    await bench.accept();
    await near.opened.next();
    expect(near.link.open).toBe(true);
  });

  test("N2: an upgrade that nobody answers is given up after 20 s", async () => {
    bench.server.upgrades = false;
    const near = bench.start();
    await Promise.resolve();
    bench.clock.advance(19_999);
    expect(near.closed.size).toBe(0);
    bench.clock.advance(1);
    expect(await near.closed.next()).toEqual({ code: 1006, refusal: null, terminal: false });
  });

  /** A link that has failed three times and then got through. */
  async function connectAfterFailures() {
    bench.clock.chance = 1;
    const near = bench.start();
    for (const delay of [400, 800, 1_600]) {
      (await bench.accept()).socket.terminate();
      await near.closed.next();
      expect(bench.clock.untilNext).toBe(delay);
      bench.clock.advance(delay);
    }
    const there = await bench.accept();
    while (!near.link.open) await near.opened.next();
    return { near, there };
  }

  async function delayAfterLoss({ near, there }: Awaited<ReturnType<typeof connectAfterFailures>>) {
    there.socket.terminate();
    await near.closed.next();
    return bench.clock.untilNext;
  }

  test("N3: the next back-off starts small again after a successful resume, and not before", async () => {
    expect(await delayAfterLoss(await connectAfterFailures())).toBe(3_200);
    const good = await connectAfterFailures();
    good.near.link.resumed();
    expect(await delayAfterLoss(good)).toBe(400);
  });

  test("N3: a socket that has been open for a minute counts as good", async () => {
    const stable = await connectAfterFailures();
    for (const ms of [25_000, 25_000, 10_000]) {
      bench.clock.advance(ms);
      if (ms === 25_000) await answerPing(stable);
    }
    expect(await delayAfterLoss(stable)).toBe(400);
  });
});

/** Answers the ping that is on its way, and returns when the answer has been heard. */
async function answerPing({ near, there }: Connected): Promise<void> {
  expect(await there.texts.next()).toBe("ping");
  there.socket.send("pong");
  await hear({ near, there });
}

async function hear({ near, there }: Connected): Promise<void> {
  there.socket.send(encodeFrame(READY));
  expect(await near.frames.next()).toEqual(READY);
}

describe("heartbeat", () => {
  test("N4: asks for a sign of life after 25 s of silence, and any frame counts as one", async () => {
    const both = await bench.connect();
    bench.clock.advance(20_000);
    await hear(both);
    bench.clock.advance(24_999);
    await hear(both);
    expect(both.there.texts.size).toBe(0);
    bench.clock.advance(25_000);
    await answerPing(both);
    bench.clock.advance(24_999);
    expect(both.near.link.open).toBe(true);
  });

  test("N4: a server that does not answer within 10 s is given up for lost and dialled again", async () => {
    const { near, there } = await bench.connect();
    bench.clock.advance(25_000);
    expect(await there.texts.next()).toBe("ping");
    bench.clock.advance(9_999);
    expect(near.link.open).toBe(true);
    bench.clock.advance(1);
    expect(await near.closed.next()).toEqual({ code: 1006, refusal: null, terminal: false });
    expect(near.link.open).toBe(false);
    expect(near.link.send({ type: "pull", after: 0 })).toBe(false);
    bench.clock.advance(400);
    await bench.accept();
    await near.opened.next();
  });

  test("N5: waking dials at once, or asks an open socket for a sign of life", async () => {
    const both = await bench.connect();
    both.near.link.wake();
    await answerPing(both);
    both.there.socket.terminate();
    await both.near.closed.next();
    both.near.link.wake();
    await bench.accept();
    await both.near.opened.next();
    both.near.link.close();
    both.near.link.wake();
    expect(both.near.link.open).toBe(false);
    expect(bench.clock.untilNext).toBe(undefined);
  });
});

describe("closing", () => {
  test("N9: a closed link says goodbye, calls nobody and dials no more", async () => {
    const { near, there } = await bench.connect();
    near.link.close();
    there.socket.send(encodeFrame(READY));
    expect(await there.closed.next()).toEqual({ code: 1000, reason: "" });
    near.link.wake();
    expect([near.frames.size, near.closed.size, bench.clock.untilNext]).toEqual([0, 0, undefined]);
    expect(near.tokens.issued).toBe(1);
  });

  test("N9: a link closed while it waits for its token closes the socket it then gets", async () => {
    let made: WebSocket | undefined;
    const token = Promise.withResolvers<void>();
    const dial = async (): Promise<WebSocket> => {
      await token.promise;
      made = new WebSocket(bench.server.url.replace("http", "ws"), ["kuvert.1"]);
      return made;
    };
    const near = bench.start({ dialer: { dial, drop: () => undefined } });
    near.link.close();
    token.resolve();
    while (made === undefined) await Promise.resolve();
    await new Promise((resolve) => made?.addEventListener("close", resolve));
    expect([near.opened.size, near.closed.size]).toEqual([0, 0]);
  });
});
