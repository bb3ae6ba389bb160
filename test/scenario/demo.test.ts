import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Profiles } from "../support/profiles.ts";
import { RealServer } from "../support/real-server.ts";

const DEMO = join(import.meta.dirname, "../../scripts/demo.ts");

let server: RealServer;
let profiles: Profiles;

beforeAll(async () => {
  profiles = new Profiles();
  server = await RealServer.start();
});
afterAll(async () => {
  await profiles.dispose();
  await server.dispose();
});

function startDemo(...args: string[]) {
  const child: ChildProcess = spawn(process.execPath, [
    "--disable-warning=ExperimentalWarning",
    DEMO,
    "--server",
    server.url,
    ...args,
  ]);
  const said = { text: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (data: Buffer) => {
      said.text += data.toString();
    });
  }
  const ended = once(child, "close").then(() => child.exitCode);
  return { child, said, ended };
}

const linkFor = (role: string, text: string): string => new RegExp(`${role}: +(\\S+/join#\\S+)`).exec(text)?.[1] ?? "";

test("CLI-30 the demo founds a bakery that a visitor can join, and its owner can be used", {
  timeout: 60_000,
}, async () => {
  const { said, ended } = startDemo();
  expect(await ended, said.text).toBe(0);
  expect(linkFor("admin", said.text)).not.toBe("");
  const folder = /--profile (\S+)/.exec(said.text)?.[1] ?? "";
  try {
    const anna = await profiles.objects(folder, ["conversations"]);
    expect(anna.map(({ title }) => title)).toEqual(
      expect.arrayContaining(["Backstube", "Leitung", "Willkommen", null]),
    );
    const lines = await profiles.objects(folder, ["history", "Backstube"]);
    expect(lines.filter(({ type }) => type === "message")).toHaveLength(7);

    const [account] = await profiles.objects("visitor", ["join", linkFor("admin", said.text), "--name", "Vera Gast"]);
    expect(account).toMatchObject({ tenant: { name: "Bäckerei Lindner" }, member: { role: "admin" } });
    expect(await profiles.objects("visitor", ["members"])).toHaveLength(7);
  } finally {
    rmSync(dirname(folder), { recursive: true, force: true });
  }
});

test("CLI-30 with --stay, a visitor is welcomed and answered", { timeout: 90_000 }, async () => {
  const { child, said, ended } = startDemo("--stay");
  await expect.poll(() => said.text, { timeout: 45_000 }).toContain("stay online");
  await profiles.objects("guest", ["join", linkFor("member", said.text), "--name", "Gustav Gast"]);
  const lines = async () => {
    const rooms = await profiles.objects("guest", ["conversations"]);
    if (!rooms.some(({ title }) => title === "Willkommen")) return [];
    return profiles.objects("guest", ["history", "Willkommen"]);
  };
  const greeted = expect.objectContaining({ text: expect.stringContaining("willkommen bei uns, Gustav") });
  await expect.poll(lines, { timeout: 30_000, interval: 500, message: said.text }).toContainEqual(greeted);
  await profiles.objects("guest", ["send", "Willkommen", "Hallo zusammen"]);
  const answer = expect.objectContaining({
    type: "message",
    mine: false,
    text: expect.stringMatching(/^(Hallo!|Moin!)/),
  });
  await expect.poll(lines, { timeout: 20_000, interval: 500 }).toContainEqual(answer);
  child.kill("SIGINT");
  expect(await ended).toBe(0);
  rmSync(/Profiles of the six: +(\S+)/.exec(said.text)?.[1] ?? "", { recursive: true, force: true });
});
