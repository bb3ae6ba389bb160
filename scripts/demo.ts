// `npm run demo`: founds a small bakery with six people on a running server and lets them talk, through real engines. It prints an
// invite link per role, so that a visitor can come in.
//   --server URL  (http://localhost:8787 or KUVERT_SERVER)
//   --stay        the six stay online: they welcome whoever joins and answer a little, until interrupted

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { rememberServer } from "../client/cli/profile.ts";
import { openSqliteStore } from "../client/cli/store-sqlite.ts";
import { openMessenger } from "../client/engine/messenger.ts";
import type { Engine, MemberView, MessageView } from "../client/engine/view.ts";
import type { ConversationId, MemberId } from "../schemas/ids.ts";
import { answerTo, greeting, ORGANISATION, PEOPLE, type Person, THREADS, type Thread, WELCOME } from "./demo-story.ts";

const PATIENCE = 30_000;
const WEEK = 7 * 86_400_000;

const { values } = parseArgs({ options: { server: { type: "string" }, stay: { type: "boolean", default: false } } });
const server = new URL(values.server ?? (process.env.KUVERT_SERVER || "http://localhost:8787")).origin;
const folder = mkdtempSync(join(tmpdir(), "kuvert-demo-"));
const names = Object.keys(PEOPLE) as Person[];

type Staff = Record<Person, Engine>;

function memberId(engine: Engine): MemberId {
  const { account } = engine.snapshot();
  if (account === null) throw new Error("a profile has no account");
  return account.member.id;
}

/** Resolves when `holds` is true, now or after an event of the engine. */
function until(engine: Engine, what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = async (): Promise<void> => {
      if (!(await holds())) return;
      clearTimeout(timer);
      off();
      resolve();
    };
    const off = engine.on(() => void look());
    const timer = setTimeout(() => {
      off();
      reject(new Error(`${what}: not within ${PATIENCE / 1_000} s`));
    }, PATIENCE);
    void look();
  });
}

async function openProfile(person: Person): Promise<Engine> {
  const profile = join(folder, person);
  const engine = await openMessenger({ store: await openSqliteStore(profile), server });
  rememberServer(profile, server);
  return engine;
}

/** Six people with accounts: the first founds the bakery, the others come in by link. */
async function hire(): Promise<Staff> {
  const anna = await openProfile("anna");
  await anna.signUp({ organisation: ORGANISATION, name: PEOPLE.anna.name, deviceName: "Demo" });
  const staff: Partial<Staff> = { anna };
  for (const person of names.slice(1)) {
    const { name, role } = PEOPLE[person];
    const link = await anna.invite({ role: role === "admin" ? "admin" : "member", uses: 1, expiresIn: WEEK });
    const engine = await openProfile(person);
    await engine.join({ link, name, deviceName: "Demo" });
    staff[person] = engine;
  }
  await until(anna, "six people", () => anna.snapshot().members.length === names.length);
  await Promise.all(Object.values(staff).map((engine) => engine.settled(PATIENCE)));
  return staff as Staff;
}

/** Plays a thread: every line is stored by the server before the next one is written. */
async function play(staff: Staff, { title, people, expiresIn, lines }: Thread): Promise<void> {
  const [founder, ...others] = people.map((person) => staff[person]) as [Engine, ...Engine[]];
  const conversation = await founder.create({ title, members: others.map(memberId) });
  for (const engine of [founder, ...others]) {
    await until(engine, `conversation ${title ?? "of two"}`, () => isIn(engine, conversation));
  }
  if (expiresIn !== undefined) await founder.expire(conversation, expiresIn);
  await founder.settled(PATIENCE);
  for (const { from, text, expiresIn } of lines) {
    const engine = staff[from];
    const key = await engine.send(conversation, text, expiresIn);
    await until(engine, "a message", async () => {
      const newest = await engine.timeline(conversation, { limit: 10 });
      return newest.some((line) => line.key === key && line.seq !== null);
    });
  }
  await Promise.all([founder, ...others].map((engine) => engine.read(conversation)));
}

function isIn(engine: Engine, conversation: ConversationId): boolean {
  return engine.snapshot().conversations.some(({ id, state }) => id === conversation && state === "active");
}

/** Welcomes everybody who joins: into the conversation for newcomers, with a greeting. */
function welcomeNewcomers({ anna }: Staff, staffIds: ReadonlySet<MemberId>): void {
  const greeted = new Set<MemberId>(staffIds);
  const welcome = async ({ id, name }: MemberView): Promise<void> => {
    const room = anna.snapshot().conversations.find(({ title }) => title === WELCOME);
    if (room === undefined) return;
    console.log(`${name} has joined.`);
    await anna.add(room.id, [id]);
    // Nobody reads what was written before they were in
    const isHere = () => anna.snapshot().conversations.some((view) => view.id === room.id && view.members.includes(id));
    await until(anna, `${name} in the room`, isHere);
    await anna.send(room.id, greeting(name.split(" ")[0] ?? name));
  };
  anna.on(({ type }) => {
    if (type !== "snapshot") return;
    for (const member of anna.snapshot().members) {
      if (greeted.has(member.id) || member.removed) continue;
      greeted.add(member.id);
      welcome(member).catch((error: unknown) => {
        greeted.delete(member.id);
        console.error(`${member.name} could not be welcomed:`, error);
      });
    }
  });
}

/** Lets one of the people in a conversation answer what a visitor writes there. Nobody answers a colleague, so this never runs away. */
function answerVisitors(staff: Staff, staffIds: ReadonlySet<MemberId>): void {
  const inTurn = (conversation: ConversationId, message: MessageView): Engine | undefined => {
    const inside = Object.values(staff).filter((engine) => isIn(engine, conversation));
    return inside[(message.seq ?? 0) % inside.length];
  };
  for (const engine of Object.values(staff)) {
    engine.on((event) => {
      if (event.type !== "message" || event.message.body.kind !== "text") return;
      const { conversation, message } = event;
      if (message.from === null || staffIds.has(message.from) || inTurn(conversation, message) !== engine) return;
      const text = answerTo(event.message.body.text, Math.random());
      setTimeout(() => void engine.send(conversation, text).catch(console.error), 1_500 + Math.random() * 2_000);
    });
  }
}

async function main(): Promise<void> {
  console.log(`Founding ${ORGANISATION} at ${server} …`);
  const staff = await hire();
  for (const thread of THREADS) await play(staff, thread);
  const member = await staff.anna.invite({ role: "member", uses: 20, expiresIn: WEEK });
  const admin = await staff.anna.invite({ role: "admin", uses: 5, expiresIn: WEEK });
  const as = `npx kuvert --profile ${join(folder, "anna")}`;
  console.log(`
  ${ORGANISATION} is open: ${names.length} people, ${THREADS.length} conversations.

  Join as a member:  ${member}
  Join as an admin:  ${admin}

  Profiles of the six:  ${folder}
`);
  if (!values.stay) {
    await Promise.all(Object.values(staff).map((engine) => engine.close()));
    console.log(`  Open a link in a browser, type a name, and start a conversation with anybody.
  The six are offline now: they read it when one of them comes back.

  Be Anna on the command line:  ${as} conversations
                                ${as} history Backstube
  Colleagues who stay online, welcome you and answer:  npm run demo -- --stay
`);
    return;
  }
  const staffIds = new Set(Object.values(staff).map(memberId));
  welcomeNewcomers(staff, staffIds);
  answerVisitors(staff, staffIds);
  console.log(`  Open a link in a browser and type a name: Anna adds you to "${WELCOME}", and whoever you write to answers.
  The six stay online until you press Ctrl+C.
`);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => resolve());
  });
  await Promise.all(Object.values(staff).map((engine) => engine.close()));
}

try {
  await fetch(new URL("/api/about", server)).catch(() => {
    throw new Error(`There is no Kuvert at ${server}. Start one with: npm start`);
  });
  await main();
  process.exit(0);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
