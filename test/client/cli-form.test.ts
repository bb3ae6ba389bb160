import { describe, expect, test } from "vitest";
import { choose, chooseConversation, chooseMember } from "../../client/cli/choose.ts";
import { COMMANDS, help, parseCommandLine } from "../../client/cli/command-line.ts";
import { formatDuration, parseDuration } from "../../client/cli/duration.ts";
import { EXIT, Failure, failureLine, toFailure } from "../../client/cli/failure.ts";
import { messageLines, messageObject } from "../../client/cli/message-form.ts";
import { chooseServer, profileFolder } from "../../client/cli/profile.ts";
import { formatTime, paintFor, printable, table } from "../../client/cli/terminal.ts";
import type { MemberId } from "../../schemas/ids.ts";
import { REFUSALS, Refusal, type RefusalCode } from "../../schemas/refusal.ts";
import { fakeConversation, fakeLine, fakeMember, fakeSnapshot } from "../support/command-engine.ts";

const plain = paintFor({}, {});

function usage(argv: string[]): string {
  try {
    parseCommandLine(argv);
  } catch (error) {
    const failure = toFailure(error);
    expect(failure?.exit).toBe(EXIT.usage);
    return failure?.message ?? "";
  }
  return expect.fail(`accepted: ${argv.join(" ")}`);
}

describe("L1: a duration is a count and a unit", () => {
  test.each([
    ["10s", 10_000],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["7d", 604_800_000],
    ["4w", 2_419_200_000],
  ])("L1: %s is understood", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
    expect(parseDuration(formatDuration(ms))).toBe(ms);
  });

  test.each(["", "10", "s", "0s", "-5m", "1.5h", "5 m", "5M", "07d", "9999999s", "1h30m", "５s"])(
    "L1: %j is refused",
    (text) => {
      expect(() => parseDuration(text)).toThrow(Failure);
    },
  );

  test("L1: what no unit says exactly is rounded up", () => {
    expect(formatDuration(1)).toBe("1s");
    expect(formatDuration(90_001)).toBe("91s");
    expect(formatDuration(3 * 3_600_000 + 1)).toBe("4h");
  });
});

describe("L2: a command line is understood whole or not at all", () => {
  test("L2: arguments, options and global options in any order", () => {
    const parsed = parseCommandLine(["--json", "send", "Backstube", "--expires", "30s", "Hallo", "--profile=/p"]);
    expect(parsed).toMatchObject({
      kind: "run",
      name: "send",
      args: ["Backstube", "Hallo"],
      options: { expires: "30s" },
      global: { profile: "/p", json: true, server: undefined, timeout: 15_000 },
    });
  });

  test("L2: an id that begins with a dash is an argument, also as the value of nothing", () => {
    const id = "-abcdefghijklmnopqrstA";
    expect(parseCommandLine(["history", id])).toMatchObject({ args: [id] });
    expect(parseCommandLine(["send", id, "--", "-x"])).toMatchObject({ args: [id, "-x"] });
    expect(parseCommandLine(["send", "a", "-"])).toMatchObject({ args: ["a", "-"] });
  });

  test("L2: refused with a sentence that says what is wrong", () => {
    expect(usage(["frobnicate"])).toContain('no command "frobnicate"');
    expect(usage(["send", "a", "b", "--colour"])).toContain("unknown option '--colour'");
    expect(usage(["members", "--role", "admin"])).toContain("members has no option --role");
    expect(usage(["signup", "--name", "A"])).toContain("signup needs --organisation NAME");
    expect(usage(["send", "a"])).toContain("kuvert send CONVERSATION TEXT");
    expect(usage(["leave", "a", "b"])).toContain("kuvert leave CONVERSATION");
    expect(usage(["members", "--timeout", "soon"])).toContain("not a duration");
    expect(usage(["send", "a", "b", "--expires"])).toContain("--expires");
  });

  test("L2: help and version win over everything else", () => {
    expect(parseCommandLine([])).toEqual({ kind: "help", command: null });
    expect(parseCommandLine(["help", "send"])).toEqual({ kind: "help", command: "send" });
    expect(parseCommandLine(["send", "--help"])).toEqual({ kind: "help", command: "send" });
    expect(parseCommandLine(["-h"])).toEqual({ kind: "help", command: null });
    expect(parseCommandLine(["send", "--version"])).toEqual({ kind: "version" });
  });

  test("L2: every command is in the overview and explains itself with all its options", () => {
    const overview = help(null);
    for (const [name, command] of Object.entries(COMMANDS)) {
      expect(overview).toContain(`  ${name} `);
      const own = help(name as keyof typeof COMMANDS);
      expect(own).toContain(`kuvert ${name}`);
      for (const option of command.options) expect(own).toContain(`--${option}`);
      for (const line of own.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
    }
  });
});

describe("L3: a person and a conversation are named by id, name, or the beginning of an id", () => {
  const a = { id: "AAAAAAAAAAAAAAAAAAAAAA", name: "Anna" };
  const b = { id: "AAAAAAAAAAAAAAAAAAAAAQ", name: "Bernd" };
  const c = { id: "BBBBBBBBBBBBBBBBBBBBBA", name: "anna" };
  const all = [a, b, c];

  test("L3: the closest meaning wins", () => {
    expect(choose("member", all, "Anna")).toBe(a);
    expect(choose("member", all, "anna")).toBe(c);
    expect(choose("member", all, "BERND")).toBe(b);
    expect(choose("member", all, b.id)).toBe(b);
    expect(choose("member", all, "BBB")).toBe(c);
  });

  test("L3: several meanings are listed, none is said", () => {
    expect(() => choose("member", all, "ANNA")).toThrow(/Anna A{22}, anna B{21}A/);
    expect(() => choose("member", all, "AAAA")).toThrow(expect.objectContaining({ code: "ambiguous" }));
    expect(() => choose("member", all, "Carla")).toThrow('there is no member "Carla"');
    expect(() => choose("member", all, "")).toThrow(expect.objectContaining({ code: "unknown" }));
  });

  test("L3: somebody removed cannot be meant; an untitled conversation is called like the others in it", () => {
    const anna = fakeMember("Anna");
    const gone = { ...fakeMember("Gisela"), removed: true };
    const otto = fakeMember("Otto");
    const direct = fakeConversation({ kind: "direct", members: [anna.id, otto.id] });
    const group = fakeConversation({ title: "Backstube", members: [anna.id] });
    const base = fakeSnapshot();
    const account = base.account && { ...base.account, member: { ...base.account.member, id: anna.id } };
    const snapshot = { ...base, account, members: [anna, gone, otto], conversations: [direct, group] };
    expect(() => chooseMember(snapshot, "Gisela")).toThrow("there is no member");
    expect(chooseConversation(snapshot, "otto")).toBe(direct);
    expect(chooseConversation(snapshot, "Backstube")).toBe(group);
  });
});

describe("L4: nothing that others wrote can drive the terminal", () => {
  test("L4: controls and direction marks are replaced", () => {
    expect(printable("a\u001b[2Jb\u0007c\u202ed\u009b31m\u0000")).toBe("a�[2Jb�c�d�31m�");
    expect(printable("one\r\ntwo\tthree")).toBe("one two three");
    expect(printable("Grüße 👩‍🍳 — 日本")).toBe("Grüße 👩‍🍳 — 日本");
  });

  test("L4: also in names, tables and errors", () => {
    const lines = table(["NAME"], [["\u001b]0;x\u0007"]]);
    expect(lines.join("")).not.toContain("\u001b");
    expect(failureLine(new Failure("unknown", 'there is no member "\u001b[31m"'))).not.toContain("\u001b");
    const line = messageLines({
      snapshot: fakeSnapshot(),
      message: fakeLine({ body: { kind: "text", text: "hallo\n\u001b[1Awelt" } }),
      paint: plain,
      now: 0,
    });
    expect(line).toHaveLength(2);
    expect(line.join("")).not.toContain("\u001b");
  });

  test("L11: columns are aligned by what a terminal shows", () => {
    expect(
      table(
        ["A", "B"],
        [
          ["日本", "x"],
          ["é", "y"],
          ["abcd", "z"],
        ],
      ),
    ).toEqual(["A     B", "日本  x", "é     y", "abcd  z"]);
  });

  test("L11: colours only on a terminal that wants them", () => {
    expect(paintFor({ isTTY: true }, {})("bold", "x")).toBe("\u001b[1mx\u001b[22m");
    expect(paintFor({ isTTY: true }, { NO_COLOR: "1" })("bold", "x")).toBe("x");
    expect(paintFor({ isTTY: true }, { TERM: "dumb" })("bold", "x")).toBe("x");
    expect(paintFor({ isTTY: false }, {})("bold", "x")).toBe("x");
  });

  test("L11: a time is local and sorts", () => {
    const at = new Date(2026, 0, 5, 7, 3).getTime();
    expect(formatTime(at)).toBe("2026-01-05 07:03");
  });
});

describe("L5: every refusal has a sentence, its code and an exit code", () => {
  test.each(Object.keys(REFUSALS) as RefusalCode[])("L5: %s", (code) => {
    const failure = toFailure(new Refusal(code));
    expect(failure?.message).toMatch(/^[a-z].{10,}/);
    expect(failureLine(failure as Failure)).toBe(`kuvert: ${failure?.message} (${code})\n`);
    expect(failure?.exit).toBe(code === "unavailable" ? EXIT.unreachable : EXIT.refused);
  });

  test("L5: a bug is not dressed up", () => {
    expect(toFailure(new TypeError("x is not a function"))).toBeUndefined();
    expect(toFailure("text")).toBeUndefined();
  });
});

describe("L6: a profile and its server", () => {
  test("L6: the folder: asked, environment, home", () => {
    expect(profileFolder("/a", { KUVERT_PROFILE: "/b" })).toBe("/a");
    expect(profileFolder(undefined, { KUVERT_PROFILE: "/b" })).toBe("/b");
    expect(profileFolder(undefined, {})).toMatch(/\/\.kuvert\/default$/);
  });

  test("L6: the server: asked, remembered, link, environment, usual", () => {
    const all = {
      asked: "http://a:1",
      remembered: "http://b",
      link: "https://c/join#x",
      env: { KUVERT_SERVER: "http://d/" },
    };
    expect(chooseServer(all)).toBe("http://a:1");
    expect(chooseServer({ ...all, asked: undefined })).toBe("http://b");
    expect(chooseServer({ ...all, asked: undefined, remembered: undefined })).toBe("https://c");
    expect(chooseServer({ ...all, asked: undefined, remembered: undefined, link: undefined })).toBe("http://d");
    expect(chooseServer({ asked: undefined, remembered: undefined, link: "rubbish", env: {} })).toBe(
      "http://localhost:8787",
    );
    expect(() => chooseServer({ ...all, asked: "ftp://x" })).toThrow(Failure);
  });
});

describe("L7: a line of a timeline is the same for people and for programs", () => {
  const otto = fakeMember("Otto");
  const snapshot = fakeSnapshot({ members: [otto] });

  test("L7: a text", () => {
    const message = fakeLine({ from: otto.id, expiresAt: 61_000, at: 5 });
    expect(messageObject(snapshot, "conv", message)).toEqual({
      type: "message",
      conversation: "conv",
      key: "key-1",
      seq: 1,
      at: 5,
      from: { id: otto.id, name: "Otto" },
      mine: false,
      state: "received",
      refusal: null,
      expiresAt: 61_000,
      text: "text 1",
    });
    expect(messageLines({ snapshot, message, paint: plain, now: 1_000, where: "Backstube" })).toEqual([
      `${formatTime(5)}  Backstube  Otto: text 1  [gone in 1m]`,
    ]);
  });

  test("L7: own states are said", () => {
    const failed = fakeLine({ mine: true, state: "failed", refusal: "too_large" });
    expect(messageLines({ snapshot, message: failed, paint: plain, now: 0 })[0]).toContain("[not sent: too_large]");
    const waiting = fakeLine({ mine: true, state: "waiting", seq: null });
    expect(messageLines({ snapshot, message: waiting, paint: plain, now: 0 })[0]).toContain("[waiting]");
  });

  test.each([
    [{ kind: "created" } as const, "Otto started the conversation"],
    [{ kind: "added", members: [otto.id] } as const, "Otto added Otto"],
    [{ kind: "removed", members: ["unknownperson" as MemberId] } as const, "no longer here: unknownp"],
    [{ kind: "left" } as const, "Otto left"],
    [{ kind: "titled", title: "Neu" } as const, 'Otto named it "Neu"'],
    [{ kind: "titled", title: null } as const, "Otto took the title away"],
    [{ kind: "timer", expiresIn: 60_000 } as const, "Otto set the timer to 1m"],
    [{ kind: "timer", expiresIn: null } as const, "Otto turned the timer off"],
    [
      { kind: "rekeyed", member: otto.id } as const,
      "Otto now has another key than before: invited anew, or somebody else in disguise. Ask before you go on",
    ],
    [
      { kind: "missed" } as const,
      "the encryption of this conversation was renewed; something of what was written after that may be missing here",
    ],
    [{ kind: "unreadable" } as const, "a message that cannot be read here"],
  ])("L7: notice %o", (body, sentence) => {
    const message = fakeLine({ from: otto.id, body });
    expect(messageObject(snapshot, "c", message)).toMatchObject({ type: "notice", notice: body });
    expect(messageLines({ snapshot, message, paint: plain, now: 0 })).toEqual([`${formatTime(0)}  — ${sentence}`]);
  });
});
