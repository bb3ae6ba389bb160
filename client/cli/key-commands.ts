// Owns the commands about keys: comparing another member's, going on with one that changed, and replaying the log of all keys.

import { renderUnicodeCompact } from "uqr";
import type { KeyAuditView, KeyEventView, SafetyView, Snapshot } from "../engine/view.ts";
import { memberMeant, memberName, shortId } from "./choose.ts";
import type { Command } from "./command.ts";
import { Failure } from "./failure.ts";
import { findingSentence } from "./findings.ts";
import { formatTime, printable } from "./terminal.ts";
import { settled } from "./wait.ts";

function standing({ state, since, verifiedAt, wasVerified }: SafetyView, name: string): string {
  if (verifiedAt !== null) return `Compared at ${formatTime(verifiedAt)}.`;
  if (state !== "changed") return `Known since ${formatTime(since)}, not compared yet.`;
  const held = wasVerified ? " You had compared the old one: nothing is sent until you decide." : "";
  return `${name} has had another key since ${formatTime(since)}: invited anew, or somebody else in disguise.${held}`;
}

export const verify: Command = {
  usage: "MEMBER [DIGITS]",
  summary: "Compare a member's safety number",
  details: [
    "Without DIGITS shows the number, to be read out on the phone, and as a QR code to be scanned. With the 60 digits",
    "that the other one sees, or the text of the other one's QR code, compares them: equal ones count as compared.",
  ],
  arity: [1, 13],
  options: [],
  profile: "account",
  async run(context) {
    const { engine, print, args } = context;
    const { id, name } = await memberMeant(context);
    const given = args.slice(1).join("");
    const safety = await engine.safety(id);
    if (given === "") {
      print.json({ type: "safety", member: id, ...safety });
      print.lines(
        renderUnicodeCompact(safety.code),
        (safety.number.match(/.{5}/g) ?? []).join(" "),
        print.paint("dim", standing(safety, printable(name))),
      );
      return;
    }
    const isSame = /^\d+$/.test(given) ? given === safety.number : (await engine.scanSafety(id, given)) === "match";
    if (!isSame)
      throw new Failure("mismatch", `these are not the digits that you and ${printable(name)} should both see`);
    await engine.verify(id, true);
    print.json({ type: "verified", member: id });
    print.lines(`${printable(name)} is marked as compared.`);
  },
};

export const accept: Command = {
  usage: "MEMBER",
  summary: "Go on with a member's changed key without comparing it",
  details: ["Also takes back that a member was compared. What was held back is sent."],
  arity: [1, 1],
  options: [],
  profile: "account",
  async run(context) {
    const { engine, print } = context;
    const { id, name } = await memberMeant(context);
    await engine.verify(id, false);
    await settled(context);
    print.json({ type: "accepted", member: id });
    print.lines(`The key ${printable(name)} has now is taken as it is.`);
  },
};

const EVENTS: Readonly<Record<KeyEventView["kind"], string>> = {
  member: "identity key of",
  rekeyed: "another identity key of",
  device: "device of",
  revoked: "device revoked of",
  removed: "removed:",
  unknown: "something nobody can read",
};

const LEAF_PROBLEMS: Readonly<Record<NonNullable<KeyEventView["problem"]>, string>> = {
  unreadable: "cannot be read",
  uncertified: "NOT CERTIFIED by the member",
  twice: "is there already",
  nobody: "concerns nobody that is in the log",
};

const LOG_PROBLEMS: Readonly<Record<KeyAuditView["problems"][number], string>> = {
  incomplete: "the server has fewer entries than it says",
  wrong_head: "the entries are not those that the server's head stands for",
  rolled_back: "the list of keys is shorter than this device has seen it",
  forked: "the list of keys has another past than this device has seen",
  bad_leaf: "the list of keys has entries that nothing honest makes",
};

function eventLine(snapshot: Snapshot, { index, kind, member, device, problem }: KeyEventView): string {
  const name = member === null ? "" : ` ${printable(memberName(snapshot, member))}`;
  const which = device === null ? "" : ` (${shortId(device)})`;
  return `${String(index).padStart(6)}  ${EVENTS[kind]}${name}${which}${problem === null ? "" : `  — ${LEAF_PROBLEMS[problem]}`}`;
}

export const auditKeys: Command = {
  usage: "",
  summary: "Replay the log of everybody's keys from its beginning and check all of it",
  details: [
    "Reads every entry, verifies every certificate and the head, and that the log goes on from what this device saw.",
    "Prints a line for each entry; ends with 1 and a sentence when anything is wrong. What was found out earlier is",
    "said once more, and then counts as taken note of.",
  ],
  arity: [0, 0],
  options: [],
  profile: "account",
  async run(context) {
    const { engine, print } = context;
    await settled(context);
    const { events, size, root, problems } = await engine.auditKeys();
    const snapshot = engine.snapshot();
    for (const event of events) print.json({ type: "key_event", ...event });
    print.json({ type: "key_log", size, root, problems });
    print.lines(...events.map((event) => eventLine(snapshot, event)));
    for (const finding of snapshot.findings) {
      print.json({ ...finding, type: "finding" });
      print.lines(print.paint("red", `Found out at ${formatTime(finding.at)}: ${findingSentence(snapshot, finding)}.`));
      await engine.noteFinding(finding.id);
    }
    const [worst] = problems;
    if (worst !== undefined) throw new Failure("key_log", LOG_PROBLEMS[worst]);
    print.lines(print.paint("dim", `${size} entries, all as they must be. Head ${root}.`));
  },
};
