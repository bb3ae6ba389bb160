// The page's end of the engine, over a port that the test is the other end of.

import { expect, test } from "vitest";
import { createRemote } from "../../client/ui/remote.ts";
import type { FromPage, FromWorker, Place } from "../../client/ui/wire.ts";
import { isRefusal } from "../../schemas/refusal.ts";

/** A remote, what it has posted, and how to speak as its worker. */
function apart() {
  const posted: FromPage[] = [];
  const listeners: ((event: { data: FromWorker }) => void)[] = [];
  const remote = createRemote({
    postMessage: (message) => posted.push(message),
    addEventListener: (type: string, listener: (event: { data: FromWorker }) => void) => {
      if (type === "message") listeners.push(listener);
    },
  });
  const say = (data: FromWorker): void => {
    for (const listener of listeners) listener({ data });
  };
  return { remote, posted, say, move: (place: Place) => say({ type: "place", place }) };
}

const isUnavailable = (error: unknown): boolean => isRefusal(error) && error.code === "unavailable";

test("U35: what is called before the engine runs is asked once it does, in order", async () => {
  const { remote, posted, say, move } = apart();
  const answers = Promise.all([remote.engine.devices(), remote.engine.invites()]);
  expect(posted).toEqual([]);
  move("here");
  expect(posted.map((message) => message.type === "call" && message.method)).toEqual(["devices", "invites"]);
  for (const message of posted)
    if (message.type === "call") say({ type: "answer", id: message.id, ok: true, value: [] });
  await expect(answers).resolves.toEqual([[], []]);
});

test("N19: what waits for an engine that goes elsewhere is refused, and so is what is called there, until it is back", async () => {
  const { remote, posted, move } = apart();
  const early = remote.engine.devices();
  move("elsewhere");
  await expect(early).rejects.toSatisfy(isUnavailable);
  await expect(remote.engine.devices()).rejects.toSatisfy(isUnavailable);
  move("here");
  expect(posted).toEqual([]);
  const asked = remote.engine.devices();
  expect(posted).toHaveLength(1);
  move("elsewhere");
  await expect(asked).rejects.toSatisfy(isUnavailable);
});

test("U35: a browser with nothing stored shows a first visit until the engine says what there is", () => {
  const { remote, say } = apart();
  const seen: string[] = [];
  remote.engine.on(() => seen.push(remote.engine.snapshot().phase));
  remote.expectNothing();
  say({ type: "snapshot", snapshot: { ...remote.engine.snapshot(), phase: "ready" } });
  remote.expectNothing();
  expect(seen).toEqual(["fresh", "ready"]);
});
