// A delivery service that plays every trick of RELIABILITY's list M on real engines. Whatever it does: it is noticed and said, nothing
// is read that was not written, and no own text is lost without a word.

import { cpSync, rmSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { run } from "../../client/cli/run.ts";
import type { ClientFrame, Envelope, WelcomeItem } from "../../schemas/frames.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import { Company, type Person } from "../support/company.ts";
import { eachWithCompany } from "../support/hooks.ts";
import { LeapingClock } from "../support/leaping-clock.ts";
import { RealServer } from "../support/real-server.ts";
import { again, isCommit, RewrittenLog } from "../support/rewritten-log.ts";
import type { Incoming } from "../support/tampered-socket.ts";

const PATIENCE = { timeout: 20_000, interval: 20 };
let company: Company;

eachWithCompany((fresh) => {
  company = fresh;
});

const view = ({ engine }: Person, id: ConversationId) =>
  engine.snapshot().conversations.find((conversation) => conversation.id === id);
/** Stands for an envelope that has been let through. */
const PASSED = {} as Envelope;
const until = (holds: () => unknown) => expect.poll(holds, PATIENCE).toBe(true);

/** A team that has talked. */
async function four() {
  const team = await company.team();
  const { anna, bert, carl, id } = team;
  await anna.engine.send(id, "vorher");
  for (const person of [anna, bert, carl]) await person.shows(id, ["vorher"]);
  return team;
}

/** Bert's view of the conversation goes through somebody who may rewrite it. */
async function rewrittenFor(
  bert: Person,
  id: ConversationId,
  outgoing?: (frame: ClientFrame) => readonly ClientFrame[],
) {
  const log = new RewrittenLog(id);
  await bert.settled();
  await bert.reopen({ tampering: { incoming: log.pass, ...(outgoing && { outgoing }) } });
  await bert.settled();
  return log;
}

/** Everything one of them has read was written by another of them, and in the order of the writing. */
async function readOnlyWhatWasWritten(id: ConversationId, written: readonly string[], ...people: readonly Person[]) {
  for (const person of people) {
    const texts = await person.texts(id);
    expect(written.filter((text) => texts.includes(text))).toEqual(texts);
  }
}

/** Two members say what they saw: one alone might be lying (C33). */
async function contradict(id: ConversationId, anna: Person, carl: Person): Promise<void> {
  await anna.engine.send(id, "zwei");
  await expect.poll(() => carl.texts(id), PATIENCE).toContain("zwei");
  await carl.engine.send(id, "drei");
  await expect.poll(() => anna.texts(id), PATIENCE).toContain("drei");
}

describe("M1: a commit is withheld from one member", () => {
  test("C35: with everything after it made to fit: noticed as soon as anybody says anything", async () => {
    const { anna, bert, carl, dora, id } = await four();
    const log = await rewrittenFor(bert, id);
    let withheld = 0;
    log.begin((envelopes) => envelopes.filter((envelope) => !isCommit(envelope) || withheld++ > 0));
    await anna.engine.add(id, [dora.id]);
    await anna.settled();
    await anna.engine.send(id, "eins");
    await carl.shows(id, ["vorher", "eins"]);
    // What was sealed for an epoch that Bert knows nothing of makes him find the way in, and the next ones tell
    await until(() => view(bert, id)?.members.length === 4);
    await contradict(id, anna, carl);
    await until(() => view(bert, id)?.state === "broken");
    expect(view(bert, id)?.fault).toBe("contradicted");
    await readOnlyWhatWasWritten(id, ["vorher", "eins", "zwei", "drei"], anna, bert, carl);
  });

  test("C36: with nothing said: whoever writes is told another epoch than it has seen, asks no more than a few times, and finds the way in", async () => {
    const { anna, bert, dora, id } = await four();
    let asked = 0;
    let hidden = false;
    const log = await rewrittenFor(bert, id, (frame) => {
      if (frame.type !== "confirm") asked += 1;
      return [frame];
    });
    log.begin((envelopes) =>
      envelopes.filter((envelope) => {
        const isFirst = !hidden && isCommit(envelope);
        hidden ||= isFirst;
        return !isFirst;
      }),
    );
    await anna.engine.add(id, [dora.id]);
    await anna.settled();
    await until(() => hidden);
    const before = asked;
    await bert.engine.send(id, "von Bert");
    await until(() => view(bert, id)?.members.length === 4);
    expect(asked - before).toBeLessThan(30);
    // What Bert wrote has been sent, or still stands there as waiting: it is not gone
    expect(await bert.texts(id)).toContain("von Bert");
  });
});

describe("M2: two commits for one epoch to two halves", () => {
  test("C37: the half that is shown its own is told by what it cannot read", async () => {
    const { anna, bert, carl, dora, id } = await four();
    let swallowed: Extract<ClientFrame, { type: "commit" }> | null = null;
    const log = await rewrittenFor(bert, id, (frame) => {
      if (frame.type !== "commit" || swallowed !== null) return [frame];
      swallowed = frame;
      return [];
    });
    // Whatever commit the others follow, Bert is shown his own in its place
    log.begin((envelopes) =>
      envelopes.map((envelope) => (isCommit(envelope) ? asEnvelope(swallowed, envelope) : envelope)),
    );
    const joining = bert.engine.add(id, [dora.id]);
    await until(() => swallowed !== null);
    await carl.engine.remove(id, anna.id).catch(() => undefined);
    await anna.engine.add(id, [dora.id]);
    await joining;
    await until(() => view(anna, id)?.members.length === 4 && view(bert, id)?.members.length === 4);
    const code = async (person: Person) => (await person.engine.encryption(id)).code;
    expect(await code(bert)).not.toBe(await code(anna));
    expect(await code(carl)).toBe(await code(anna));
    await anna.engine.send(id, "an alle");
    await carl.shows(id, ["vorher", "an alle"]);
    await until(() => view(bert, id)?.state === "broken");
    expect(view(bert, id)?.fault).toBe("forked");
    expect(await bert.texts(id)).toEqual(["vorher"]);
    await expect(bert.engine.send(id, "hört mich jemand?")).rejects.toMatchObject({ code: "forbidden" });
  });
});

describe("M3: envelopes change places", () => {
  test("C35: a message before the commit it was sealed after: nothing of it is read, and it comes out", async () => {
    const { anna, bert, carl, dora, id } = await four();
    const log = await rewrittenFor(bert, id);
    let held: Envelope | null = null;
    log.begin((envelopes) =>
      envelopes.flatMap((envelope) => {
        if (held === null && isCommit(envelope)) {
          held = envelope;
          return [];
        }
        if (held === null || held === PASSED) return [envelope];
        const late = held;
        held = PASSED;
        return [envelope, late];
      }),
    );
    await anna.engine.add(id, [dora.id]);
    await anna.settled();
    await anna.engine.send(id, "eins");
    await carl.shows(id, ["vorher", "eins"]);
    await until(() => view(bert, id)?.members.length === 4);
    await contradict(id, anna, carl);
    await until(() => view(bert, id)?.state === "broken");
    await readOnlyWhatWasWritten(id, ["vorher", "eins", "zwei", "drei"], bert);
  });

  test("C35: two messages: the next ones tell", async () => {
    const { anna, bert, carl, id } = await four();
    const log = await rewrittenFor(bert, id);
    let held: Envelope | null = null;
    log.begin((envelopes) =>
      envelopes.flatMap((envelope) => {
        if (held === PASSED) return [envelope];
        const late = held === null ? [] : [held];
        held = held === null ? envelope : PASSED;
        return held === PASSED ? [envelope, ...late] : [];
      }),
    );
    await carl.engine.send(id, "eins");
    await anna.shows(id, ["vorher", "eins"]);
    await contradict(id, anna, carl);
    await until(() => view(bert, id)?.state === "broken");
    expect(view(bert, id)?.fault).toBe("contradicted");
    expect((await bert.lines(id)).map(({ body }) => body.kind)).toContain("contradicted");
    expect(await bert.texts(id)).not.toContain("drei");
  });
});

describe("M4: what was said before is said again", () => {
  test("C38: a message under another id, in everybody's log: shown once", async () => {
    const { anna, bert, carl, id } = await four();
    await bert.settled();
    await bert.reopen({
      tampering: {
        outgoing: (frame) =>
          frame.type === "send" ? [frame, { ...frame, id: crypto.getRandomValues(new Uint8Array(16)) }] : [frame],
      },
    });
    await bert.settled();
    for (const text of ["eins", "zwei"]) await bert.engine.send(id, text);
    await bert.settled();
    await carl.engine.send(id, "drei");
    for (const person of [anna, bert, carl]) {
      await person.shows(id, ["vorher", "eins", "zwei", "drei"]);
      expect((await person.lines(id)).map(({ body }) => body.kind)).not.toContain("unreadable");
      expect(view(person, id)?.state).toBe("active");
    }
  });

  test("C38: a message and a commit, to one member only: nothing twice, and the next message tells", async () => {
    const { anna, bert, carl, dora, id } = await four();
    const log = await rewrittenFor(bert, id);
    const seen: Envelope[] = [];
    log.begin((envelopes) =>
      envelopes.flatMap((envelope) => {
        const replayed = seen.length === 2 ? seen.splice(0).map(again) : [];
        seen.push(envelope);
        return [...replayed, envelope];
      }),
    );
    await anna.engine.add(id, [dora.id]);
    await anna.settled();
    await anna.engine.send(id, "eins");
    await carl.shows(id, ["vorher", "eins"]);
    await contradict(id, anna, carl);
    await until(() => view(bert, id)?.state === "broken");
    expect(await bert.texts(id)).toEqual(["vorher", "eins", "zwei"]);
    expect(view(bert, id)?.members).toHaveLength(4);
  });

  test("C38: a welcome that let in once lets in no second time, and disturbs nothing", async () => {
    const { anna, bert, carl, id } = await four();
    let welcomes: readonly WelcomeItem[] = [];
    const keep = (frame: Incoming) => {
      if (frame.type === "welcomes") welcomes = frame.welcomes;
      return [frame];
    };
    await bert.reopen({ tampering: { incoming: keep } });
    const second = await anna.engine.create({ title: "Ladentheke", members: [bert.id, carl.id] });
    await bert.shows(second, []);
    await until(() => welcomes.length > 0 && view(bert, second)?.state === "active");
    await anna.engine.send(second, "eins");
    await bert.shows(second, ["eins"]);
    await bert.settled();
    let repeated = 0;
    await bert.reopen({
      tampering: {
        incoming: (frame) => {
          if (frame.type !== "ready" || !("stock" in frame)) return [frame];
          repeated += 1;
          return [frame, { type: "welcomes", welcomes: welcomes.map((item) => ({ ...item, n: item.n + 1_000 })) }];
        },
      },
    });
    await bert.settled();
    expect(repeated).toBe(1);
    await anna.engine.send(second, "zwei");
    await bert.shows(second, ["eins", "zwei"]);
    await bert.engine.send(second, "drei");
    for (const person of [anna, carl]) await person.shows(second, ["eins", "zwei", "drei"]);
    await anna.engine.send(id, "auch hier");
    await bert.shows(id, ["vorher", "auch hier"]);
  });
});

describe("M5: a key package that is stale, somebody else's, or handed out twice", () => {
  type Packages = { packages: { device: string; bytes: string }[] };

  /** What the server answers about key packages goes through `change`; the rest as it is. */
  const meddling =
    (change: (packages: Packages["packages"], asked: string) => Promise<Packages["packages"]>): typeof fetch =>
    async (input, init) => {
      const answer = await fetch(input, init);
      const path = new URL(String(input instanceof Request ? input.url : input)).pathname;
      if (!/members\/[^/]+\/key-packages$/.test(path) || !answer.ok) return answer;
      const { packages } = (await answer.json()) as Packages;
      return Response.json({ packages: await change(packages, path) });
    };

  test("C39: somebody else's under the asked one's name: not used, said, and whom it was for comes in by itself", async () => {
    const { anna, bert, carl, dora, id } = await four();
    const theirs: Packages["packages"] = [];
    await anna.settled();
    await anna.reopen({
      fetch: meddling(async (packages, path) => {
        if (path.includes(carl.id)) theirs.push(...packages);
        return packages.map((one, at) =>
          path.includes(dora.id) ? { ...one, bytes: theirs[at]?.bytes ?? one.bytes } : one,
        );
      }),
    });
    await anna.settled();
    await anna.engine.create({ title: "Nur zu zweit", members: [carl.id] });
    await anna.engine.add(id, [dora.id]);
    await until(() =>
      anna.engine.snapshot().findings.some(({ kind, member }) => kind === "swapped" && member === dora.id),
    );
    await until(() => view(dora, id)?.state === "active");
    await dora.engine.send(id, "bin da");
    for (const person of [anna, bert, carl]) await person.shows(id, ["vorher", "bin da"]);
  });

  test("C39: one that was used before: whoever was added with it lets itself in, and reads what comes", async () => {
    const { anna, carl, dora, id } = await four();
    let used: Packages["packages"] | null = null;
    await anna.settled();
    await anna.reopen({
      fetch: meddling(async (packages, path) => {
        if (!path.includes(dora.id)) return packages;
        used ??= packages;
        return used;
      }),
    });
    await anna.settled();
    const second = await anna.engine.create({ title: "Ladentheke", members: [dora.id] });
    await until(() => view(dora, second)?.state === "active");
    await dora.settled();
    await anna.engine.add(id, [dora.id]);
    await until(() => view(dora, id)?.state === "active");
    await dora.settled();
    await carl.engine.send(id, "willkommen");
    for (const person of [anna, carl]) await person.shows(id, ["vorher", "willkommen"]);
    await expect.poll(async () => (await dora.texts(id)).at(-1), PATIENCE).toBe("willkommen");
  });

  test("C39: one that nobody can read: said", async () => {
    const { anna, dora, id } = await four();
    await anna.settled();
    await anna.reopen({
      fetch: meddling(async (packages) => packages.map((one) => ({ ...one, bytes: one.bytes.slice(0, 200) }))),
    });
    await anna.settled();
    await anna.engine.add(id, [dora.id]);
    await until(() =>
      anna.engine.snapshot().findings.some(({ kind, member }) => kind === "unusable" && member === dora.id),
    );
    await until(() => view(dora, id)?.state === "active");
  });
});

describe("M7: a server that was put back to an earlier day", () => {
  test("C35: whoever has seen more stops and says so; what was read stays, and nobody is shown anything else", async () => {
    const own = await RealServer.start();
    const people = new Company(own.url);
    const copy = `${own.state}.copy`;
    try {
      const { anna, bert, id } = await people.pair();
      await anna.engine.send(id, "eins");
      await bert.shows(id, ["eins"]);
      await Promise.all([anna.settled(), bert.settled()]);
      await own.stop();
      cpSync(own.state, copy, { recursive: true });
      await own.start();
      await Promise.all([anna.settled(), bert.settled()]);
      await bert.engine.send(id, "zwei");
      await anna.shows(id, ["eins", "zwei"]);
      await Promise.all([anna.settled(), bert.settled()]);
      await own.stop();
      rmSync(own.state, { recursive: true });
      cpSync(copy, own.state, { recursive: true });
      await own.start();
      for (const person of [anna, bert]) {
        await until(() => view(person, id)?.state === "broken");
        expect(view(person, id)?.fault).toBe("rolled_back");
        expect(await person.texts(id)).toEqual(["eins", "zwei"]);
        await expect(person.engine.send(id, "drei")).rejects.toMatchObject({ code: "forbidden" });
      }
    } finally {
      await people.dispose();
      await own.dispose();
      rmSync(copy, { recursive: true, force: true });
    }
  });
});

describe("M9: a device is kept out by a server that swallows its way back", () => {
  const MINUTE = 60_000;

  /** Bert is put back to an older copy of his profile, so that he has to let himself in anew; the server lets none of that through. */
  async function shutOut() {
    const { anna, bert, id } = await four();
    await bert.settled();
    await bert.close();
    const copy = bert.copy();
    await bert.open();
    await bert.engine.send(id, "zwei");
    await anna.shows(id, ["vorher", "zwei"]);
    await bert.settled();
    await bert.close();
    bert.putBack(copy);
    const clock = new LeapingClock();
    let swallowed = 0;
    let isShut = true;
    const outgoing = (frame: ClientFrame): readonly ClientFrame[] => {
      if (!isShut || frame.type !== "commit") return [frame];
      swallowed += 1;
      return [];
    };
    await bert.open({ clock, tampering: { outgoing } });
    await until(() => swallowed > 0);
    return { anna, bert, id, clock, outgoing, letIn: () => (isShut = false), tries: () => swallowed };
  }

  test("C49: it says so after a while, goes on trying, keeps what is written, and stops saying so once it is in", async () => {
    const { anna, bert, id, clock, letIn } = await shutOut();
    expect(view(bert, id)).toMatchObject({ state: "active", held: null });
    await bert.engine.send(id, "drei");
    let told = false;
    bert.engine.on(({ type }) => {
      told ||= type === "snapshot" && view(bert, id)?.held?.reason === "outside";
    });
    clock.leap(3 * MINUTE);
    await until(() => told);
    expect(view(bert, id)).toMatchObject({ state: "active", held: { reason: "outside", members: [] } });
    expect((await bert.lines(id)).at(-1)).toMatchObject({ state: "waiting", body: { text: "drei" } });
    // Nothing is on its way that anybody could wait for
    await bert.settled();
    letIn();
    bert.cut();
    await anna.shows(id, ["vorher", "zwei", "drei"]);
    await until(() => view(bert, id)?.held === null);
    await anna.engine.send(id, "vier");
    await expect.poll(async () => (await bert.texts(id)).at(-1), PATIENCE).toBe("vier");
  });

  test("C49: after a restart it says so again a moment after it has tried again, and a command line says it on standard error", async () => {
    const { anna, bert, id, clock, outgoing, tries } = await shutOut();
    clock.leap(3 * MINUTE);
    await until(() => view(bert, id)?.held?.reason === "outside");
    await bert.close();
    const before = tries();
    const later = new LeapingClock();
    later.leap(4 * MINUTE);
    let said = "";
    let out = "";
    const code = await run({
      argv: ["--profile", bert.folder, "--server", bert.server, "--timeout", "60s", "conversations"],
      env: {},
      out: { write: (text) => (out += text) },
      err: { write: (text) => (said += text) },
      now: Date.now,
      interrupted: new AbortController().signal,
      readInput: async () => "",
      ask: async () => "",
      open: () => bert.open({ clock: later, tampering: { outgoing } }),
    });
    expect(code).toBe(0);
    expect(tries()).toBeGreaterThan(before);
    expect(out).toMatch(/Backstube .* outside /);
    expect(said).toContain('kuvert: attention: this device does not get into "Backstube" at the moment');
    await bert.close();
    await bert.open();
    // What was said before it is in, it cannot read
    await bert.engine.send(id, "drei");
    await anna.shows(id, ["vorher", "zwei", "drei"]);
    await anna.engine.send(id, "vier");
    await expect.poll(async () => (await bert.texts(id)).at(-1), PATIENCE).toBe("vier");
    expect(view(bert, id)?.held).toBeNull();
  });
});

function asEnvelope(
  commit: Extract<ClientFrame, { type: "commit" }> | null,
  { acceptedAt, expiresAt, seq }: Envelope,
): Envelope {
  if (commit === null) throw new Error("no commit to show");
  return {
    id: commit.id as Envelope["id"],
    seq,
    bytes: commit.bytes as Envelope["bytes"],
    digest: null,
    acceptedAt,
    expiresAt,
  };
}
