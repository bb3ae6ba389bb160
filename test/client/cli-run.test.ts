import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256 } from "@noble/hashes/sha2.js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Failure } from "../../client/cli/failure.ts";
import { run, type World } from "../../client/cli/run.ts";
import { parseInviteLink } from "../../client/engine/invite-link.ts";
import type { Engine, FindingView } from "../../client/engine/view.ts";
import { toBase64url } from "../../schemas/bytes.ts";
import { type DeviceId, newId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY } from "../../schemas/policy.ts";
import { REFUSALS, Refusal } from "../../schemas/refusal.ts";
import { FakeEngine, fakeConversation, fakeLine, fakeMember, fakeSnapshot } from "../support/command-engine.ts";
import { json, startLoopback } from "../support/loopback.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kuvert-cli-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs a command line against an engine and returns everything it said. */
function start(argv: string[], engine: Engine, over: Partial<World> = {}) {
  const said = { out: "", err: "", server: "" };
  const say = (stream: "out" | "err", text: string): void => {
    said[stream] += text;
  };
  const interrupt = new AbortController();
  const ended = run({
    argv: ["--profile", folder, ...argv],
    env: {},
    out: { write: (text) => say("out", text) },
    err: { write: (text) => say("err", text) },
    now: () => 0,
    interrupted: interrupt.signal,
    readInput: async () => "from a pipe\n",
    ask: async () => "",
    open: async (_, server) => {
      said.server = server;
      return engine;
    },
    ...over,
  });
  return { said, ended, interrupt: () => interrupt.abort(new Failure("interrupted", "interrupted")) };
}

function objects(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

describe("L8: a command runs from profile to exit code", () => {
  test("L6: signing up remembers the server in a folder of one's own", async () => {
    const fake = new FakeEngine(fakeSnapshot({ phase: "fresh", account: null }));
    const engine = fake.engine({ signUp: async () => fake.change(fakeSnapshot()) });
    const { said, ended } = start(
      ["signup", "--organisation", "B", "--name", "A", "--server", "http://s:1", "--json"],
      engine,
    );
    expect(await ended).toBe(0);
    expect(objects(said.out)).toMatchObject([{ type: "account", member: { name: "Anna", role: "owner" } }]);
    expect(fake.calls[0]).toMatchObject(["signUp", { organisation: "B", name: "A", residency: "eu" }]);
    expect(readFileSync(join(folder, "server"), "utf8")).toBe("http://s:1\n");
    expect(statSync(folder).mode & 0o777).toBe(0o700);

    const again = start(["members"], new FakeEngine().engine());
    expect(await again.ended).toBe(0);
    expect(again.said.server).toBe("http://s:1");
    expect(fake.calls.at(-1)).toEqual(["close"]);
  });

  test("L56: the operator's way back for an owner needs no profile, and its secret is in no argument and no output", async () => {
    const server = await startLoopback();
    server.answer = (_, response) => void response.writeHead(204).end();
    const env = { OPERATOR_SECRET: "s".repeat(40), KUVERT_SERVER: server.url };
    const operate = (argv: string[], over: Partial<World> = {}) =>
      start(["operator", ...argv], new FakeEngine().engine(), { env, open: () => expect.unreachable(), ...over });
    const tenant = newId();
    const good = operate(["return-owner", tenant, "--valid", "1h", "--json"]);
    expect(await good.ended).toBe(0);
    const [{ link, ...rest } = {}] = objects(good.said.out);
    expect(rest).toEqual({ type: "invite", role: "owner", uses: 1, expiresAt: 3_600_000 });
    const { invite, secret } = parseInviteLink(String(link));
    const [asked] = server.asked;
    expect([asked?.method, asked?.path]).toEqual(["POST", `/api/operator/tenants/${tenant}/owner-return`]);
    expect(asked?.headers.authorization).toBe(`Bearer ${env.OPERATOR_SECRET}`);
    expect(JSON.parse(asked?.body ?? "")).toEqual({
      id: invite,
      secretHash: toBase64url(sha256(secret)),
      expiresIn: 3_600_000,
    });
    expect(good.said.out + good.said.err).not.toContain(env.OPERATOR_SECRET);
    const shown = operate(["return-owner", tenant]);
    expect(await shown.ended).toBe(0);
    expect(shown.said.out).toMatch(/█.*\/join#.*valid for 1w/s);
    const { remedy } = REFUSALS.not_found;
    server.answer = (_, response) => json(response, 404, { code: "not_found", remedy, detail: {} });
    const unknown = operate(["return-owner", newId()]);
    expect(await unknown.ended).toBe(1);
    expect(unknown.said.err).toMatch(/^kuvert: there is no such organisation there, .* \(not_found\)\n$/);
    const mistakes: [string[], Partial<World>?][] = [
      [["return-owner", "nobody"]],
      [["return", tenant]],
      [["return-owner", tenant, "--valid", "1y"]],
      [["return-owner", tenant], { env: { KUVERT_SERVER: server.url } }],
      [["return-owner", tenant, "--server", "http://kuvert.example"]],
    ];
    for (const [argv, over] of mistakes) expect(await operate(argv, over).ended).toBe(2);
    expect(server.asked).toHaveLength(3);
    expect(readdirSync(folder)).toEqual([]);
    await server.stop();
  });

  test("H44: a browser that took too many wrong passphrases is listed as locked, and released by name", async () => {
    const laptop = { id: newId<DeviceId>(), name: "Laptop", createdAt: 0, lastUsedAt: 0, revoked: false, own: false };
    const fake = new FakeEngine();
    const engine = fake.engine({ devices: async () => [{ ...laptop, lockedOut: true, kind: null }] });
    const listed = start(["devices"], engine);
    expect(await listed.ended).toBe(0);
    expect(listed.said.out).toMatch(/Laptop .* locked /);
    const released = start(["release", "Laptop", "--json"], engine);
    expect(await released.ended).toBe(0);
    expect(objects(released.said.out)).toEqual([{ type: "released", device: laptop.id }]);
    expect(fake.calls).toContainEqual(["releaseDevice", laptop.id]);
  });

  test("L42: whatever the command, findings about keys are told on standard error, a sentence each", async () => {
    const [anna, otto] = [fakeMember("Anna", "owner"), fakeMember("Otto")];
    const finding = (kind: FindingView["kind"], member: FindingView["member"] = null) => ({
      id: `${kind} ${member}`,
      kind,
      member,
      at: 0,
    });
    const findings = [
      finding("ghost", otto.id),
      finding("ghost", anna.id),
      finding("swapped", otto.id),
      finding("swapped", anna.id),
      finding("unusable", otto.id),
      finding("unreadable"),
      finding("rolled_back"),
      finding("forked"),
      finding("forked", otto.id),
    ];
    const { account } = fakeSnapshot();
    const own = account === null ? null : { ...account, member: { id: anna.id, name: anna.name, role: anna.role } };
    const fake = new FakeEngine(fakeSnapshot({ account: own, members: [anna, otto], findings }));
    const { said, ended } = start(["members", "--json"], fake.engine());
    expect(await ended).toBe(0);
    expect(said.err.trim().split("\n")).toEqual([
      "kuvert: attention: somebody tried to slip in a device as one of Otto's; it was not accepted",
      "kuvert: attention: somebody tried to slip in a device as one of yours; it was not accepted",
      "kuvert: attention: somebody poses as Otto; it was noticed and not accepted",
      "kuvert: attention: somebody poses as you towards others; talk to your administrators",
      "kuvert: attention: the server handed out a key for Otto that is of no use; it was not used",
      "kuvert: attention: the list of devices has an entry that cannot be read here; it does not count. See kuvert audit-keys",
      "kuvert: attention: the server shows an older list of devices than before; no new device is accepted for now",
      "kuvert: attention: the server shows another list of devices than before; no new device is accepted for now",
      "kuvert: attention: the server shows you and Otto different lists of devices; ask Otto some other way before you go on",
    ]);
    expect(objects(said.out)).toHaveLength(2);
  });

  test("L42: and conversations that are stopped, with the reason", async () => {
    const faults = ["altered", "rolled_back", "contradicted", "forked"] as const;
    const conversations = faults.map((fault) => fakeConversation({ title: fault, state: "broken", fault }));
    const fake = new FakeEngine(fakeSnapshot({ conversations }));
    const { said, ended } = start(["members", "--json"], fake.engine());
    expect(await ended).toBe(0);
    expect(said.err.trim().split("\n")).toEqual([
      'kuvert: attention: "altered" is stopped: the server did not return it without gaps',
      'kuvert: attention: "rolled_back" is stopped: the server shows an older state of it than was read here; others may lack what was written since',
      'kuvert: attention: "contradicted" is stopped: the server has shown others something else in it than here',
      'kuvert: attention: "forked" is stopped: the server has separated its people; others may not be able to read what was written last',
    ]);
  });

  test("L6: a server whose answer was lost is remembered, one that refused is not", async () => {
    const fake = new FakeEngine(fakeSnapshot({ phase: "fresh", account: null }));
    for (const [code, remembered] of [
      ["unavailable", true],
      ["invite_expired", false],
    ] as const) {
      const engine = fake.engine({ join: () => Promise.reject(new Refusal(code)) });
      const { said, ended } = start(["join", "http://s:1/join#x", "--name", "A"], engine);
      expect(await ended).toBe(remembered ? 3 : 1);
      expect(said.err).toContain(`(${code})`);
      expect(existsSync(join(folder, "server"))).toBe(remembered);
    }
  });

  test("L8: a profile without an account, and one that has one already", async () => {
    const fresh = start(["members"], new FakeEngine(fakeSnapshot({ phase: "fresh", account: null })).engine());
    expect(await fresh.ended).toBe(1);
    expect(fresh.said).toMatchObject({ out: "", err: expect.stringMatching(/^kuvert: .* \(no_account\)\n$/) });
    const taken = start(["signup", "--organisation", "B", "--name", "A"], new FakeEngine().engine());
    expect(await taken.ended).toBe(1);
    expect(taken.said.err).toContain("(account_exists)");
  });

  test("L5, L8: a refusal is printed with its code, closes the engine and prints nothing else", async () => {
    const fake = new FakeEngine();
    const engine = fake.engine({ invite: () => Promise.reject(new Refusal("forbidden")) });
    const { said, ended } = start(["invite"], engine);
    expect(await ended).toBe(1);
    expect(said).toMatchObject({ out: "", err: "kuvert: you may not do that (forbidden)\n" });
    expect(fake.calls.at(-1)).toEqual(["close"]);
  });

  test("L8: a server that is away or slow", async () => {
    const away = start(
      ["members", "--timeout", "1s"],
      new FakeEngine(fakeSnapshot({ connection: "connecting" })).engine(),
    );
    expect(await away.ended).toBe(3);
    expect(away.said.err).toContain("http://localhost:8787 cannot be reached (unreachable)");
    const slow = new FakeEngine().engine({ settled: () => Promise.reject(new Error("late")) });
    const started = start(["members"], slow);
    expect(await started.ended).toBe(3);
    expect(started.said.err).toContain("(timeout)");
  });

  test("L5, L8: a device that the server has ended says why", async () => {
    const ended = fakeSnapshot({ phase: "ended", code: "device_revoked", connection: "connecting" });
    const started = start(["members"], new FakeEngine(ended).engine());
    expect(await started.ended).toBe(1);
    expect(started.said.err).toContain("(device_revoked)");
  });

  test("L8: a locked profile", async () => {
    const open = () => Promise.reject(new Failure("profile_locked", "another process is using it"));
    const started = start(["members"], new FakeEngine().engine(), { open });
    expect(await started.ended).toBe(1);
    expect(started.said.err).toBe("kuvert: another process is using it (profile_locked)\n");
  });
});

describe("L9: send says what became of the message", () => {
  const conversation = fakeConversation({ title: "Backstube" });

  function sender(state: "sent" | "waiting" | "failed") {
    const fake = new FakeEngine(fakeSnapshot({ conversations: [conversation] }));
    const engine = fake.engine({
      send: async (id, text) => {
        const refusal = state === "failed" ? "quota" : null;
        fake.timelines.set(id, [fakeLine({ mine: true, state, key: "k", refusal, body: { kind: "text", text } })]);
        return "k";
      },
    });
    return { fake, engine };
  }

  test("L9: stored", async () => {
    const { fake, engine } = sender("sent");
    const { said, ended } = start(["send", "Backstube", "Hallo", "--expires", "30s", "--json"], engine);
    expect(await ended).toBe(0);
    expect(objects(said.out)).toMatchObject([{ type: "message", text: "Hallo", state: "sent" }]);
    expect(fake.calls).toContainEqual(["send", conversation.id, "Hallo", 30_000]);
  });

  test("L9: the text can come from standard input", async () => {
    const { fake, engine } = sender("sent");
    expect(await start(["send", "backstube", "-"], engine).ended).toBe(0);
    expect(fake.calls).toContainEqual(["send", conversation.id, "from a pipe", undefined]);
  });

  test("L9: refused for good", async () => {
    const { fake, engine } = sender("failed");
    const { said, ended } = start(["send", "Backstube", "Hallo"], engine);
    expect(await ended).toBe(1);
    expect(said.err).toContain("(quota)");
    expect(fake.calls).toContainEqual(["discard", conversation.id, "k"]);
  });

  test("L9: waiting in the outbox", async () => {
    const { engine } = sender("waiting");
    const { said, ended } = start(["send", "Backstube", "Hallo", "--timeout", "1s"], engine);
    expect(await ended).toBe(3);
    expect(said.err).toContain("waits in the outbox");
  });

  test.each([
    [["send", "Backstube", ""], "no text"],
    [["send", "Backstube", "x".repeat(8_001)], "at most 8000"],
    [["send", "Backstube", "x", "--expires", "5s"], "between 10s and 4w"],
    [["invite", "--uses", "0"], "--uses is a whole number"],
    [["invite", "--role", "owner"], "member or admin"],
    [["invite", "--valid", "30s"], "between 1m and 90d"],
    [["history", "Backstube", "--limit", "many"], "--limit"],
    [["expire", "Backstube", "5w"], "between 10s and 4w"],
  ])("L2, L9: %j is not understood", async (argv, sentence) => {
    const { fake, engine } = sender("sent");
    const { said, ended } = start(argv, engine);
    expect(await ended).toBe(2);
    expect(said.err).toContain(sentence);
    expect(fake.calls.map(([name]) => name)).not.toContain("send");
  });
});

describe("L10: listen prints each line once, in order, until interrupted", () => {
  test("L10: unread first, then what comes, then the end", async () => {
    const otto = fakeMember("Otto");
    const one = fakeConversation({ title: "Eins", unread: 2 });
    const two = fakeConversation({ title: "Zwei" });
    const fake = new FakeEngine(fakeSnapshot({ members: [otto], conversations: [one, two] }));
    const lines = [1, 2, 3, 4].map((seq) => fakeLine({ seq, from: otto.id }));
    fake.timelines.set(one.id, lines.with(2, fakeLine({ seq: 3, mine: true })));
    fake.timelines.set(two.id, [fakeLine({ seq: 1 })]);
    const { said, ended, interrupt } = start(["listen", "--json"], fake.engine());
    const seqs = () => objects(said.out).map(({ conversation, seq }) => [conversation === one.id ? 1 : 2, seq]);

    await expect.poll(() => said.out.split("\n").length).toBe(4);
    expect(seqs()).toEqual([
      [1, 2],
      [1, 3],
      [1, 4],
    ]);
    expect(fake.calls).toContainEqual(["read", one.id]);

    fake.timelines
      .get(two.id)
      ?.push(fakeLine({ seq: 2 }), fakeLine({ seq: null, key: "w", mine: true, state: "waiting" }));
    fake.tell({ type: "timeline", conversation: two.id });
    fake.tell({ type: "timeline", conversation: two.id });
    await expect.poll(() => said.out.split("\n").length).toBe(5);
    expect(seqs().at(-1)).toEqual([2, 2]);

    interrupt();
    expect(await ended).toBe(130);
    expect(said.err).toBe("");
    expect(fake.calls.at(-1)).toEqual(["close"]);
  });

  test("L10: a long backlog comes whole and in order", async () => {
    const one = fakeConversation({ title: "Eins", unread: 950 });
    const fake = new FakeEngine(fakeSnapshot({ conversations: [one] }));
    fake.timelines.set(
      one.id,
      Array.from({ length: 1_000 }, (_, index) => fakeLine({ seq: index + 1 })),
    );
    const { said, ended, interrupt } = start(["listen", "Eins", "--json"], fake.engine());
    await expect.poll(() => said.out.split("\n").length).toBe(951);
    expect(objects(said.out).map(({ seq }) => seq)).toEqual(Array.from({ length: 950 }, (_, index) => index + 51));
    interrupt();
    expect(await ended).toBe(130);
  });
});

test("G26: pin, unpin, mute and unmute ask for what they say, and the list shows it", async () => {
  const conversation = fakeConversation({ title: "Backstube", pinned: true, muted: { until: null } });
  const fake = new FakeEngine(fakeSnapshot({ conversations: [conversation] }));
  const { id } = conversation;
  const marks = ["pin", "unpin", "mute", "unmute"];
  for (const line of [["pin"], ["unpin"], ["mute"], ["mute", "8h"], ["unmute"]]) {
    const [name = "", ...more] = line;
    expect(await start([name, "Backstube", ...more], fake.engine()).ended, name).toBe(0);
  }
  expect(fake.calls.filter(([name]) => marks.includes(String(name)))).toEqual([
    ["pin", id, true],
    ["pin", id, false],
    ["mute", id, null],
    ["mute", id, 8 * 3_600_000],
    ["unmute", id],
  ]);
  expect(await start(["mute", "Backstube", "soon"], fake.engine()).ended).toBe(2);
  const { said, ended } = start(["conversations"], fake.engine());
  expect(await ended).toBe(0);
  expect(said.out).toMatch(/Backstube.*pinned, muted/);
});

describe("H54: owner and admins decide about the company", () => {
  const [anna, ben] = [fakeMember("Anna", "owner"), fakeMember("Ben")];

  test("H54: a role, and a removal", async () => {
    const fake = new FakeEngine(fakeSnapshot({ members: [anna, ben] }));
    const given = start(["role", "ben", "admin", "--json"], fake.engine());
    expect(await given.ended).toBe(0);
    expect(objects(given.said.out)).toEqual([{ type: "member", id: ben.id, name: "Ben", role: "admin" }]);
    expect(fake.calls).toContainEqual(["setRole", ben.id, "admin"]);

    const removed = start(["remove-member", "Ben"], fake.engine());
    expect(await removed.ended).toBe(0);
    expect(removed.said.out).toBe("Ben is no longer in the organisation.\n");
    expect(fake.calls).toContainEqual(["removeMember", ben.id]);
  });

  test("H54: what nobody is, is no role; what the server refuses is said", async () => {
    const fake = new FakeEngine(fakeSnapshot({ members: [anna, ben] }));
    const refuse = () => Promise.reject(new Refusal("forbidden"));
    expect(await start(["role", "Ben", "owner"], fake.engine()).ended).toBe(2);
    expect(fake.calls.map(([name]) => name)).not.toContain("setRole");
    const { said, ended } = start(["remove-member", "Anna"], fake.engine({ removeMember: refuse }));
    expect(await ended).toBe(1);
    expect(said.err).toMatch(/^kuvert: .+ \(forbidden\)\n$/);
    expect(said.out).toBe("");
  });

  test("H54: the policy is shown, and changed only in what is given", async () => {
    const fake = new FakeEngine();
    const shown = start(["policy"], fake.engine());
    expect(await shown.ended).toBe(0);
    expect(shown.said.out.split("\n").map((line) => line.slice(23))).toEqual(["30d", "10s to 4w", "no timer", ""]);
    expect(fake.calls.map(([name]) => name)).not.toContain("setPolicy");

    const changed = start(["policy", "--retention", "90d", "--default", "1h", "--json"], fake.engine());
    expect(await changed.ended).toBe(0);
    const { minExpiry, maxExpiry } = DEFAULT_POLICY;
    const policy = { minExpiry, maxExpiry, retention: 90 * 86_400_000, defaultExpiry: 3_600_000 };
    expect(fake.calls).toContainEqual(["setPolicy", policy]);
    expect(objects(changed.said.out)).toEqual([{ type: "policy", ...policy }]);

    fake.change({ policy });
    expect(await start(["policy", "--default", "off"], fake.engine()).ended).toBe(0);
    expect(fake.calls).toContainEqual(["setPolicy", { ...policy, defaultExpiry: null }]);
  });

  test.each([
    ["--retention", "366d"],
    ["--retention", "23h"],
    ["--shortest", "5s"],
    ["--longest", "5w"],
    ["--default", "soon"],
  ])("H54: a policy that cannot be is understood by nobody: %s %s", async (option, value) => {
    const fake = new FakeEngine();
    expect(await start(["policy", option, value], fake.engine()).ended).toBe(2);
    expect(fake.calls.map(([name]) => name)).not.toContain("setPolicy");
  });

  test("H54: a default outside the bounds is refused before it is sent", async () => {
    const fake = new FakeEngine();
    const argv = ["policy", "--shortest", "1m", "--longest", "1h", "--default", "2h"];
    expect(await start(argv, fake.engine()).ended).toBe(2);
    expect(fake.calls.map(([name]) => name)).not.toContain("setPolicy");
  });
});
