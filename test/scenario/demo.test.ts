import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { eachWithProfiles } from "../support/hooks.ts";
import type { Profiles } from "../support/profiles.ts";
import type { RealServer } from "../support/real-server.ts";

const DEMO = join(import.meta.dirname, "../../scripts/demo.ts");

let server: RealServer;
let profiles: Profiles;

eachWithProfiles((fresh, its) => {
  profiles = fresh;
  server = its;
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

test("L30: the demo founds a bakery in which a visitor is welcomed and answered", { timeout: 180_000 }, async () => {
  const { child, said, ended } = startDemo("--stay");
  onTestFinished(() => void child.kill("SIGKILL"));
  await expect.poll(() => said.text, { timeout: 90_000 }).toContain("stay online");
  expect(linkFor("admin", said.text)).not.toBe("");
  await profiles.objects("guest", ["join", linkFor("member", said.text), "--name", "Gustav Gast"]);
  const lines = async () => {
    const rooms = await profiles.objects("guest", ["conversations"]);
    if (!rooms.some(({ title }) => title === "Willkommen")) return [];
    return profiles.objects("guest", ["history", "Willkommen"]);
  };
  const greeted = expect.objectContaining({ text: expect.stringContaining("willkommen bei uns, Gustav") });
  await expect.poll(lines, { timeout: 45_000, interval: 500, message: said.text }).toContainEqual(greeted);
  await profiles.objects("guest", ["send", "Willkommen", "Hallo zusammen"]);
  const answer = expect.objectContaining({
    type: "message",
    mine: false,
    text: expect.stringMatching(/^(Hallo!|Moin!)/),
  });
  await expect.poll(lines, { timeout: 45_000, interval: 500 }).toContainEqual(answer);
  child.kill("SIGINT");
  expect(await ended).toBe(0);

  const folder = /Profiles of the six: +(\S+)/.exec(said.text)?.[1] ?? "";
  const anna = await profiles.objects(join(folder, "anna"), ["conversations"]);
  expect(anna.map(({ title }) => title)).toEqual(expect.arrayContaining(["Backstube", "Leitung", "Willkommen", null]));
  const backstube = await profiles.objects(join(folder, "lena"), ["history", "Backstube"]);
  expect(backstube.filter(({ type }) => type === "message")).toHaveLength(7);
  rmSync(folder, { recursive: true, force: true });
});
