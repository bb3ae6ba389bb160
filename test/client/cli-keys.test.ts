import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "../../client/cli/run.ts";
import type { Engine, KeyAuditView, SafetyView } from "../../client/engine/view.ts";
import { type DeviceId, newId } from "../../schemas/ids.ts";
import { FakeEngine, fakeConversation, fakeLine, fakeMember, fakeSnapshot } from "../support/command-engine.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kuvert-cli-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs a command line against an engine to its end. */
async function kuvert(argv: string[], engine: Engine) {
  const said = { out: "", err: "" };
  const code = await run({
    argv: ["--profile", folder, ...argv],
    env: {},
    out: {
      write: (text) => {
        said.out += text;
      },
    },
    err: {
      write: (text) => {
        said.err += text;
      },
    },
    now: () => 0,
    interrupted: new AbortController().signal,
    readInput: async () => "",
    ask: async () => "",
    open: async () => engine,
  });
  return { code, ...said };
}

const otto = fakeMember("Otto");
const number = "0123456789".repeat(6);
const safety: SafetyView = {
  number,
  code: "kuvert-safety:x",
  state: "changed",
  since: 0,
  verifiedAt: null,
  wasVerified: true,
  contradicted: false,
};

test("L43: verify shows the number and how it stands, and marks it only when the same digits or code are given", async () => {
  const fake = new FakeEngine(fakeSnapshot({ members: [otto] }));
  const engine = fake.engine({
    safety: async () => safety,
    scanSafety: async (_, scanned) => (scanned === "kuvert-safety:theirs" ? "match" : "mismatch"),
    verify: async () => undefined,
  });
  const shown = await kuvert(["verify", "Otto"], engine);
  expect(shown).toMatchObject({ code: 0, err: "" });
  expect(shown.out).toContain("01234 56789 01234");
  expect(shown.out).toContain("nothing is sent until you decide");
  const marked = () => fake.calls.filter(([method]) => method === "verify");
  const wrong = ["1".repeat(60), number.slice(1), "kuvert-safety:other"];
  for (const given of wrong)
    expect(await kuvert(["verify", "Otto", given], engine)).toMatchObject({ code: 1, out: "" });
  expect(marked()).toEqual([]);
  const groups = number.match(/.{5}/g) ?? [];
  for (const given of [[number], groups, ["kuvert-safety:theirs"]]) {
    expect(await kuvert(["verify", "Otto", ...given], engine)).toMatchObject({ code: 0, err: "" });
  }
  expect(marked()).toEqual(Array.from({ length: 3 }, () => ["verify", otto.id, true]));
  await kuvert(["accept", "Otto"], engine);
  expect(marked().at(-1)).toEqual(["verify", otto.id, false]);
});

test("L43: a message that waits for a person to look at a changed key ends send with 1 and says what to do", async () => {
  const held = { reason: "changed", members: [otto.id] } as const;
  const conversation = fakeConversation({ title: "Backstube", members: [otto.id], held });
  const fake = new FakeEngine(fakeSnapshot({ members: [otto], conversations: [conversation] }));
  const engine = fake.engine({
    send: async () => "key-1",
    timeline: async () => [fakeLine({ key: "key-1", mine: true, state: "waiting" })],
  });
  const { code, err } = await kuvert(["send", "Backstube", "Hallo"], engine);
  expect([code, err]).toEqual([
    1,
    "kuvert: the key of Otto has changed since you compared it; the message waits: see kuvert verify, or kuvert accept (key_changed)\n",
  ]);
});

test("L44: audit-keys prints every entry, what was found out, and ends with 1 when anything is wrong", async () => {
  const device = newId<DeviceId>();
  const events: KeyAuditView["events"] = [
    { index: 0, kind: "member", member: otto.id, device: null, problem: null },
    { index: 1, kind: "device", member: otto.id, device, problem: "uncertified" },
    { index: 2, kind: "unknown", member: null, device: null, problem: "unreadable" },
  ];
  const findings = [{ id: "ghost/x", kind: "ghost", member: otto.id, at: 0 } as const];
  const fake = new FakeEngine(fakeSnapshot({ members: [otto], findings }));
  let audit: KeyAuditView = { size: 3, root: "ab", events, problems: ["bad_leaf"] };
  const engine = fake.engine({
    auditKeys: async () => audit,
    noteFinding: async () => fake.change({ findings: [] }),
  });
  const bad = await kuvert(["audit-keys"], engine);
  expect(bad.code).toBe(1);
  expect(bad.err).toContain("entries that nothing honest makes");
  const lines = bad.out.split("\n");
  expect(lines.slice(0, 3)).toEqual([
    "     0  identity key of Otto",
    `     1  device of Otto (${device.slice(0, 8)})  — NOT CERTIFIED by the member`,
    "     2  something nobody can read  — cannot be read",
  ]);
  expect(lines[3]).toContain("slip in a device as one of Otto's");
  expect(fake.calls.filter(([method]) => method === "noteFinding")).toEqual([["noteFinding", "ghost/x"]]);
  audit = { ...audit, events: events.slice(0, 1), size: 1, problems: [] };
  const good = await kuvert(["audit-keys", "--json"], engine);
  expect([good.code, good.err]).toEqual([0, ""]);
  expect(
    good.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).type),
  ).toEqual(["key_event", "key_log"]);
});

test("L45: invite --for makes the link by which a member comes back, for that member alone", async () => {
  const fake = new FakeEngine(fakeSnapshot({ members: [otto] }));
  const engine = fake.engine({ inviteAgain: async () => "http://s/join#x" });
  const { code, out } = await kuvert(["invite", "--for", "Otto", "--valid", "1h", "--json"], engine);
  expect([code, JSON.parse(out)]).toEqual([
    0,
    { type: "invite", link: "http://s/join#x", for: otto.id, uses: 1, expiresAt: 3_600_000 },
  ]);
  expect(fake.calls).toContainEqual(["inviteAgain", otto.id, 3_600_000]);
  expect((await kuvert(["invite", "--for", "Otto", "--role", "admin"], engine)).code).toBe(2);
  expect((await kuvert(["invite", "--for", "Nobody"], engine)).code).toBe(1);
});
