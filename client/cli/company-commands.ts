// Owns the commands with which owner and admins decide about the company: roles, who stays, and how long messages do.

import * as v from "valibot";
import { LIMITS, Policy } from "../../schemas/policy.ts";
import { memberMeant } from "./choose.ts";
import type { Command, Context } from "./command.ts";
import { readTimer } from "./conversation-commands.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { Failure } from "./failure.ts";
import { printable } from "./terminal.ts";
import { settled, until } from "./wait.ts";

export const role: Command = {
  usage: "MEMBER admin|member",
  summary: "Say what somebody may do (owners and admins)",
  details: [
    "An admin invites people, removes members and sets the policy. Who is made a member again",
    "takes the open invites they made along. The owner's role cannot be changed.",
  ],
  arity: [2, 2],
  options: [],
  profile: "account",
  async run(context) {
    const { engine, print, args } = context;
    const given = args[1];
    if (given !== "admin" && given !== "member") throw new Failure("usage", "a role is admin or member");
    const { id, name } = await memberMeant(context);
    await engine.setRole(id, given);
    print.json({ type: "member", id, name, role: given });
    print.lines(`${printable(name)} is ${given} now.`);
  },
};

export const removeMember: Command = {
  usage: "MEMBER",
  summary: "Put somebody out of the organisation, at once and for good (owners and admins)",
  details: [
    "All their devices are shut out, they leave every conversation, and their sealed backup and open invites go.",
    "What they have read stays with them. The owner cannot be removed.",
  ],
  arity: [1, 1],
  options: [],
  profile: "account",
  async run(context) {
    const { engine, print } = context;
    const { id, name } = await memberMeant(context);
    await engine.removeMember(id);
    print.json({ type: "removed", member: id });
    print.lines(`${printable(name)} is no longer in the organisation.`);
  },
};

export const policy: Command = {
  usage: "[--retention DURATION] [--shortest DURATION] [--longest DURATION] [--default DURATION|off]",
  summary: "Show how long messages stay, or change it (owners and admins)",
  details: [
    "--retention: on the server at most, 1d to 365d; a shorter one deletes at once what is older.",
    "--shortest, --longest: what timers people may choose, 10s to 4w. --default: the timer when nobody chooses one.",
    "What is not given stays. A change holds at once for every conversation; what was sent keeps its timer.",
  ],
  arity: [0, 0],
  options: ["retention", "shortest", "longest", "default"],
  profile: "account",
  async run(context) {
    const { engine, options } = context;
    await settled(context);
    // A profile that has just been made may not have heard of it yet
    const now = await until(context, () => engine.snapshot().policy ?? undefined);
    if (Object.keys(options).length === 0) return report(context, now);
    const wanted = v.safeParse(Policy, {
      retention: options.retention === undefined ? now.retention : parseDuration(options.retention),
      minExpiry: options.shortest === undefined ? now.minExpiry : parseDuration(options.shortest),
      maxExpiry: options.longest === undefined ? now.maxExpiry : parseDuration(options.longest),
      defaultExpiry: options.default === undefined ? now.defaultExpiry : readTimer(options.default),
    });
    if (!wanted.success) throw new Failure("usage", RULES);
    await engine.setPolicy(wanted.output);
    report(context, wanted.output);
  },
};

const RULES = `retention is between 1d and ${formatDuration(LIMITS.maxRetention)}, timers between 10s and 4w, and the default between shortest and longest`;

function report({ print }: Context, now: Policy): void {
  print.json({ type: "policy", ...now });
  print.lines(
    `On the server at most  ${formatDuration(now.retention)}`,
    `Timers                 ${formatDuration(now.minExpiry)} to ${formatDuration(now.maxExpiry)}`,
    `Without a choice       ${now.defaultExpiry === null ? "no timer" : formatDuration(now.defaultExpiry)}`,
  );
}
