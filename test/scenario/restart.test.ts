import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { rememberServer } from "../../client/cli/profile.ts";
import { eachWithProfiles } from "../support/hooks.ts";
import type { Profiles } from "../support/profiles.ts";
import type { RealServer } from "../support/real-server.ts";
import { readLogs } from "../support/server-files.ts";

let server: RealServer;
let profiles: Profiles;

eachWithProfiles(async (fresh, its) => {
  profiles = fresh;
  server = its;
  const [eva, jan] = [await profiles.open("eva", server.url), await profiles.open("jan", server.url)];
  await eva.signUp({ organisation: "K", name: "Eva", deviceName: "test" });
  const link = await eva.invite({ role: "member", uses: 1, expiresIn: 3_600_000 });
  await jan.join({ link, name: "Jan", deviceName: "test" });
  await eva.settled(45_000);
  const { account } = jan.snapshot();
  if (account === null) throw new Error("no account");
  await eva.create({ title: "Kasse", members: [account.member.id] });
  for (const engine of [eva, jan]) {
    await engine.settled(45_000);
    await profiles.close(engine);
  }
  for (const name of ["eva", "jan"]) rememberServer(profiles.of(name), server.url);
});

async function texts(name: string): Promise<unknown[]> {
  const lines = await profiles.objects(name, ["history", "Kasse"]);
  return lines.flatMap(({ type, text }) => (type === "message" ? [text] : []));
}

/** Ids of the messages whose encrypted bytes the server still has. */
function held(): readonly (string | null)[] {
  const rows = readLogs(server.state).flat();
  return rows.filter(({ bytes }) => bytes !== null).map(({ mid }) => mid);
}

test("D37, L9: a server killed and started again has kept everything", async () => {
  await profiles.objects("eva", ["send", "Kasse", "vorher"]);
  await server.kill();
  const away = await profiles.kuvert("eva", ["send", "Kasse", "währenddessen", "--timeout", "2s"]);
  expect(away).toMatchObject({ code: 3, out: "", err: expect.stringContaining("waits in the outbox") });

  await server.start();
  expect(await texts("jan")).toEqual(["vorher"]);
  expect(await texts("eva")).toEqual(["vorher", "währenddessen"]);
  await profiles.objects("jan", ["send", "Kasse", "nachher"]);
  expect(await texts("eva")).toEqual(["vorher", "währenddessen", "nachher"]);
  expect(await profiles.objects("jan", ["members"])).toHaveLength(2);
});

test("N15: a token the server no longer takes is replaced without a word", async () => {
  const eva = await profiles.open("eva", server.url);
  await eva.settled(45_000);
  const [conversation] = eva.snapshot().conversations;
  if (conversation === undefined) throw new Error("no conversation");

  // With another secret, no token that is out can be valid any more
  await server.stop();
  rmSync(join(server.state, "token-secret"));
  await server.start();

  await eva.send(conversation.id, "mit neuem Token");
  await eva.settled(45_000);
  expect(await eva.devices()).toHaveLength(1);
  expect(eva.snapshot()).toMatchObject({ phase: "ready", code: null });
  await profiles.close(eva);
  expect((await texts("jan")).at(-1)).toBe("mit neuem Token");
});

test("X21, X22: a timer that ran out while the server was dead fires after the restart", async () => {
  const [stays] = await profiles.objects("eva", ["send", "Kasse", "bleibt"]);
  const [timed] = await profiles.objects("eva", ["send", "Kasse", "vergeht", "--expires", "10s"]);
  await server.kill();
  expect(held()).toEqual(expect.arrayContaining([stays?.key, timed?.key]));

  const due = Number(timed?.expiresAt) - Date.now();
  expect(due).toBeGreaterThan(0);
  await new Promise((passed) => setTimeout(passed, due + 500));
  expect(held()).toContain(timed?.key);

  // No request reaches the new server: its alarm alone has to do it
  await server.start();
  await expect.poll(held, { interval: 100 }).not.toContain(timed?.key);
  expect(held()).toContain(stays?.key);
  expect(await texts("jan")).toEqual(["bleibt"]);
  expect(await texts("eva")).toEqual(["bleibt"]);
});
