import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { openSqliteStore } from "../../client/cli/store-sqlite.ts";
import { decodeCbor } from "../../schemas/cbor.ts";
import { eachWithProfiles } from "../support/hooks.ts";
import { Needles } from "../support/needles.ts";
import type { Profiles } from "../support/profiles.ts";
import type { RealServer } from "../support/real-server.ts";
import { contentsOf } from "../support/server-files.ts";

let server: RealServer;
let profiles: Profiles;

eachWithProfiles((all, its) => {
  profiles = all;
  server = its;
});

// What the engine calls its secrets: key pairs, key packages, key schedule, private path, ratchets
const SECRET = /secret|private|ratchets|senderData|^keys$|^path$/i;

/** Pieces of something opaque, such that any 32 bytes of it contain one whole; those that could be found anywhere are left out. */
function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at + 16 <= bytes.length; at += 8) {
    const piece = bytes.subarray(at, at + 16);
    if (new Set(piece).size >= 12) yield piece;
  }
}

/** Byte strings of a decoded record that stand under a name for something secret. */
function* secretsOf(value: unknown, secret: boolean): Generator<Buffer> {
  if (value instanceof Uint8Array) {
    // A record may hold another one
    const inner = value.length > 64 ? decodeCbor(value) : undefined;
    if (inner !== undefined) yield* secretsOf(inner, secret);
    else if (secret) yield* piecesOf(Buffer.from(value));
  } else if (Array.isArray(value)) {
    for (const item of value) yield* secretsOf(item, secret);
  } else if (value instanceof Map) {
    for (const [name, item] of value) yield* secretsOf(item, secret || SECRET.test(String(name)));
  } else if (typeof value === "object" && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      if (!/public/i.test(name)) yield* secretsOf(item, secret || SECRET.test(name));
    }
  }
}

const TABLES = ["meta", "groups", "keypackages"] as const;

/** The secret keys in a profile that nobody has open, each under a name that says where it was. */
async function secretsIn(name: string): Promise<readonly (readonly [string, Buffer])[]> {
  const store = await openSqliteStore(profiles.of(name));
  try {
    const found: [string, Buffer][] = [];
    for (const table of TABLES) {
      for (const { key, value } of await store.scan(table)) {
        for (const secret of secretsOf(decodeCbor(value), SECRET.test(key)))
          found.push([`${table} ${secret.toString("hex")}`, secret]);
      }
    }
    return found;
  } finally {
    await store.close();
  }
}

function marked(): string {
  return `KANARI-${randomBytes(12).toString("hex")}`;
}

test("T18: texts, titles and secret keys are in nothing the server wrote or said", async () => {
  const organisation = marked();
  const titles = [marked(), marked()];
  const texts = Array.from({ length: 4 }, marked);
  const secrets = new Map<string, Buffer>();
  const haystacks: ReadonlyMap<string, Buffer>[] = [];
  const step = async (): Promise<void> => {
    for (const name of ["eva", "jan"]) {
      for (const [where, secret] of await secretsIn(name)) secrets.set(where, secret);
    }
    haystacks.push(contentsOf(server.state));
  };

  await profiles.objects("eva", ["signup", "--organisation", organisation, "--name", "Eva", "--server", server.url]);
  const [invite] = await profiles.objects("eva", ["invite"]);
  const link = String(invite?.link);
  await profiles.objects("jan", ["join", link, "--name", "Jan"]);
  await step();
  for (const title of titles) await profiles.objects("eva", ["create", "--title", title, "Jan"]);
  await step();
  for (const [index, text] of texts.entries()) {
    const sender = index % 2 === 0 ? "eva" : "jan";
    await profiles.objects(sender, ["send", titles[index % 3 === 0 ? 0 : 1] ?? "", `${text} äöü 🥐`]);
    await step();
  }
  for (const [index, title] of titles.entries()) {
    const read = await profiles.objects("jan", ["history", title]);
    expect(read.some(({ text }) => String(text).startsWith(texts[index === 0 ? 0 : 1] ?? "?"))).toBe(true);
  }
  await server.kill();
  haystacks.push(contentsOf(server.state), new Map([["output", Buffer.from(server.output)]]));
  await server.start();
  await server.stop();
  haystacks.push(contentsOf(server.state), new Map([["output", Buffer.from(server.output)]]));

  const needles = new Map(secrets);
  for (const mark of [...titles, ...texts, organisation]) needles.set(mark, Buffer.from(mark));
  needles.set("invite", Buffer.from(link.split(".").at(-1) ?? "", "base64url"));
  needles.set("said openly", Buffer.from(server.url));
  const search = new Needles(needles);
  const found = haystacks.map((haystack) => [...haystack.values()].flatMap((content) => [...search.findIn(content)]));

  // The search does find what the directory knows by design and what the server says about itself, and nothing else
  const counts = TABLES.map((table) => [...secrets.keys()].filter((where) => where.startsWith(table)).length);
  for (const count of counts) expect(count).toBeGreaterThanOrEqual(8);
  expect(new Set(found.flat())).toEqual(new Set([organisation, "said openly"]));
  console.log(
    `canary: ${texts.length + titles.length} marks and ${counts.join(" + ")} pieces of secrets from ${TABLES.join(", ")}: none found`,
  );
});
