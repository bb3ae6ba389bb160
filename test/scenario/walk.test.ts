import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, test } from "vitest";
import { eachWithProfiles } from "../support/hooks.ts";
import { outcome, type Profiles } from "../support/profiles.ts";
import type { RealServer } from "../support/real-server.ts";
import { step } from "../support/step.ts";

let server: RealServer;
let profiles: Profiles;

eachWithProfiles((all, its) => {
  profiles = all;
  server = its;
});

/** Lines a running `kuvert listen --json` has printed so far; `until` waits for one that fits. */
function listening(name: string, args: readonly string[] = []) {
  const child = profiles.spawn(name, ["listen", ...args, "--json"]);
  const lines: Record<string, unknown>[] = [];
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => lines.push(JSON.parse(line)));
  return {
    lines,
    child,
    until: (fits: Record<string, unknown>) => expect.poll(() => lines).toContainEqual(expect.objectContaining(fits)),
    end: async (signal: NodeJS.Signals = "SIGINT") => {
      const ended = once(child, "exit");
      child.kill(signal);
      return (await ended)[0];
    },
  };
}

/** The texts of a history. */
async function texts(name: string, conversation: string): Promise<unknown[]> {
  const lines = await profiles.objects(name, ["history", conversation]);
  return lines.filter(({ type }) => type === "message").map(({ text }) => text);
}

test("L20, L3, L8, L10, C14, X40, E11, E21, H8: three people walk through the product on the command line", {
  timeout: 300_000,
}, async () => {
  await step("sign up, invite, join twice", async () => {
    const signup = ["signup", "--organisation", "Bäckerei Lindner", "--name", "Anna Lindner", "--server", server.url];
    const [account] = await profiles.objects("anna", signup);
    expect(account).toMatchObject({
      type: "account",
      tenant: { name: "Bäckerei Lindner", residency: "eu" },
      member: { name: "Anna Lindner", role: "owner" },
    });

    const [invite] = await profiles.objects("anna", ["invite", "--uses", "2", "--valid", "1h"]);
    expect(invite).toMatchObject({ type: "invite", role: "member", uses: 2 });
    const link = String(invite?.link);
    expect(link).toMatch(new RegExp(`^${server.url}/join#`));

    expect(await profiles.objects("bernd", ["join", link, "--name", "Bernd Öztürk"])).toMatchObject([
      { type: "account", tenant: { name: "Bäckerei Lindner" }, member: { name: "Bernd Öztürk", role: "member" } },
    ]);
    await profiles.objects("clara", ["join", link, "--name", "Clara"]);

    const late = await profiles.kuvert("dora", ["join", link, "--name", "Dora"]);
    expect(late).toMatchObject({ code: 1, out: "", err: expect.stringContaining("(invite_used_up)") });
    const members = await profiles.objects("bernd", ["members"]);
    expect(members.map(({ name, role }) => [name, role]).sort()).toEqual([
      ["Anna Lindner", "owner"],
      ["Bernd Öztürk", "member"],
      ["Clara", "member"],
    ]);
  });

  await step("a group, messages both ways, standard input, history", async () => {
    const [group] = await profiles.objects("anna", ["create", "--title", "Backstube", "bernd öztürk", "Clara"]);
    expect(group).toMatchObject({ type: "conversation", title: "Backstube", kind: "group", state: "active" });
    expect(group?.members).toHaveLength(3);

    expect(await profiles.objects("anna", ["send", "Backstube", "Guten Morgen!"])).toMatchObject([
      { type: "message", text: "Guten Morgen!", mine: true, state: expect.stringMatching(/sent|delivered/) },
    ]);
    await profiles.objects("bernd", ["send", String(group?.id).slice(0, 10), "-"], "Zwei\nZeilen\n");
    expect(await texts("clara", "backstube")).toEqual(["Guten Morgen!", "Zwei\nZeilen"]);
    expect(await texts("anna", "Backstube")).toEqual(["Guten Morgen!", "Zwei\nZeilen"]);

    const human = await profiles.kuvert("clara", ["history", "Backstube"]);
    expect(human.out).toContain("Anna Lindner: Guten Morgen!\n");
    expect(human.out).toContain("Bernd Öztürk: Zwei\n    Zeilen\n");
    expect(human.out).not.toContain("\u001b");
    expect((await profiles.kuvert("clara", ["conversations"])).out).toMatch(/^CONVERSATION +PEOPLE/);
  });

  await step("a direct conversation is called like the other person, and there is one of it", async () => {
    const [first] = await profiles.objects("anna", ["create", "Clara"]);
    const [again] = await profiles.objects("anna", ["create", "Clara"]);
    expect(first).toMatchObject({ kind: "direct", title: null, name: "Clara" });
    expect(again?.id).toBe(first?.id);
    await profiles.objects("anna", ["send", "Clara", "Nur für dich"]);
    expect(await texts("clara", "Anna Lindner")).toEqual(["Nur für dich"]);
    expect(await profiles.objects("bernd", ["conversations"])).toHaveLength(1);
  });

  await step("listen prints what was missed, then each message as it comes, until interrupted", async () => {
    await texts("bernd", "Backstube");
    await profiles.objects("anna", ["send", "Backstube", "verpasst"]);
    const listener = listening("bernd", ["Backstube"]);
    await listener.until({ text: "verpasst" });
    await profiles.objects("anna", ["send", "Backstube", "eins"]);
    await profiles.objects("clara", ["send", "Backstube", "zwei"]);
    await listener.until({ text: "zwei" });

    const busy = await profiles.kuvert("bernd", ["members"]);
    expect(busy).toMatchObject({ code: 1, out: "", err: expect.stringContaining("(profile_locked)") });

    expect(await listener.end()).toBe(130);
    const heard = listener.lines.filter(({ type }) => type === "message");
    expect(heard.map(({ text }) => text)).toEqual(["verpasst", "eins", "zwei"]);
    expect(new Set(heard.map(({ conversation }) => conversation)).size).toBe(1);

    await profiles.objects("anna", ["send", "Backstube", "drei"]);
    const again = listening("bernd");
    await again.until({ text: "drei" });
    expect(again.lines.filter(({ type }) => type === "message").map(({ text }) => text)).toEqual(["drei"]);
    expect(await again.end("SIGTERM")).toBe(143);
  });

  await step("a reader who goes away ends listen without a word", async () => {
    const child = profiles.spawn("clara", ["listen"]);
    child.stdout?.destroy();
    child.stderr?.on("data", (data: Buffer) => expect.fail(data.toString()));
    await profiles.objects("anna", ["send", "Backstube", "hört wer?"]);
    await expect.poll(() => child.exitCode).toBe(0);
  });

  await step("timers: one message's own, and a conversation's", async () => {
    const [sent] = await profiles.objects("anna", ["send", "Backstube", "gleich weg", "--expires", "10s"]);
    const expiresAt = Number(sent?.expiresAt);
    expect(expiresAt - Number(sent?.at)).toBe(10_000);
    expect(await texts("bernd", "Backstube")).toContain("gleich weg");

    expect(await profiles.objects("bernd", ["expire", "Backstube", "1h"])).toMatchObject([{ expiresIn: 3_600_000 }]);
    const [timed] = await profiles.objects("clara", ["send", "Backstube", "eine Stunde"]);
    expect(Number(timed?.expiresAt) - Number(timed?.at)).toBe(3_600_000);
    expect(await profiles.objects("anna", ["expire", "Backstube", "off"])).toMatchObject([{ expiresIn: null }]);

    await expect
      .poll(() => texts("bernd", "Backstube"), { timeout: 30_000, interval: 1_000 })
      .not.toContain("gleich weg");
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt - 100);
    expect(await texts("anna", "Backstube")).not.toContain("gleich weg");
  });

  await step("who is removed or leaves reads and writes no more", async () => {
    await profiles.objects("anna", ["remove", "Backstube", "Clara"]);
    await profiles.objects("anna", ["send", "Backstube", "ohne Clara"]);
    expect(await texts("clara", "Backstube")).not.toContain("ohne Clara");
    const mute = await profiles.kuvert("clara", ["send", "Backstube", "noch da?", "--timeout", "5s"]);
    expect(mute).toMatchObject({ code: 1, out: "" });

    const [left] = await profiles.objects("bernd", ["leave", "Backstube"]);
    expect(left).toMatchObject({ state: "ended" });
    await profiles.objects("anna", ["send", "Backstube", "allein"]);
    expect(await texts("bernd", "Backstube")).not.toContain("allein");

    await profiles.objects("anna", ["add", "Backstube", "Clara"]);
    await profiles.objects("anna", ["send", "Backstube", "wieder da"]);
    const after = await texts("clara", "Backstube");
    expect(after).toContain("wieder da");
    expect(after).not.toContain("ohne Clara");
  });

  await step("a revoked device is out at once", async () => {
    const [own] = await profiles.objects("clara", ["devices"]);
    expect(own).toMatchObject({ type: "device", own: true, revoked: false });
    expect(await profiles.objects("clara", ["revoke", String(own?.id).slice(0, 8)])).toMatchObject([
      { device: own?.id },
    ]);
    const out = await profiles.kuvert("clara", ["members"]);
    expect(out).toMatchObject({ code: 1, out: "", err: expect.stringContaining("(device_revoked)") });
  });
});

describe("exit codes and streams of the real program", () => {
  test("L2: help and version go to standard output", async () => {
    const help = await profiles.kuvert("nobody", ["--help"]);
    expect(help).toMatchObject({ code: 0, err: "" });
    expect(help.out).toContain("Exit codes: 0 done");
    expect((await profiles.kuvert("nobody", ["--version"])).out).toMatch(/^kuvert \d+\.\d+\.\d+\n$/);
  });

  const signUp = () =>
    profiles.objects("anna", ["signup", "--organisation", "K", "--name", "Anna", "--server", server.url]);

  test("L8, L5: usage, no account, no server", async () => {
    await signUp();
    expect(await profiles.kuvert("anna", ["frobnicate"])).toMatchObject({ code: 2, out: "" });
    expect(await profiles.kuvert("empty", ["members"])).toMatchObject({
      code: 1,
      out: "",
      err: expect.stringContaining("(no_account)"),
    });
    const away = ["signup", "--organisation", "B", "--name", "A", "--server", "http://localhost:9", "--timeout", "2s"];
    expect(await profiles.kuvert("empty", away)).toMatchObject({ code: 3, out: "" });
    expect(await profiles.kuvert("anna", ["send", "Backstubee", "x"])).toMatchObject({
      code: 1,
      err: expect.stringContaining("(unknown)"),
    });
  });

  test("L21: the installed program passes arguments, streams, signals and exit code through", async () => {
    await signUp();
    const program = join(import.meta.dirname, "../../scripts/kuvert.mjs");
    const child = spawn(process.execPath, [program, "--profile", profiles.of("anna"), "members", "--json"]);
    const ended = await outcome(child);
    expect(ended.code).toBe(0);
    expect(ended.objects.map(({ name }) => name)).toEqual(["Anna"]);
    const refused = await outcome(spawn(process.execPath, [program, "--profile", profiles.of("anna"), "frobnicate"]));
    expect(refused.code).toBe(2);
  });
});
