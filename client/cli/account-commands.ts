// Owns the commands about who is here: signing up, inviting, joining, members and devices.

import { hostname } from "node:os";
import { Residency } from "../../schemas/policy.ts";
import type { DeviceView, Engine } from "../engine/view.ts";
import { choose, chooseMember, shortId } from "./choose.ts";
import type { Command, Context } from "./command.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { Failure } from "./failure.ts";
import { formatTime, printable, table } from "./terminal.ts";
import { settled } from "./wait.ts";

const MINUTE = 60_000;
const INVITE = { minValid: MINUTE, maxValid: 90 * 1_440 * MINUTE, maxUses: 1_000 } as const;

/** Says whose profile this is. */
export function printAccount({ engine, print }: Context): void {
  const { account } = engine.snapshot();
  if (account === null) return;
  const { tenant, member, device } = account;
  print.json({ type: "account", tenant, member, device });
  print.lines(
    `You are ${printable(member.name)}, ${member.role} at ${printable(tenant.name)} (data kept: ${tenant.residency}).`,
  );
}

/** What a new device is called unless told. */
export function deviceName(given: string | undefined): string {
  return given ?? `${hostname().slice(0, 60)} (kuvert)`;
}

export const signup: Command = {
  usage: "--organisation NAME --name NAME [--residency eu|global] [--device NAME]",
  summary: "Found an organisation and become its owner",
  details: [
    "Asks for nothing but two names. The profile's keys are made here and never leave it.",
    "The data is kept in the EU unless --residency global is given.",
  ],
  arity: [0, 0],
  options: ["organisation", "name", "residency", "device"],
  required: ["organisation", "name"],
  profile: "fresh",
  async run(context) {
    const { engine, options } = context;
    const residency = (options.residency ?? "eu") as Residency;
    if (!Residency.options.includes(residency)) throw new Failure("usage", "--residency is eu or global");
    await engine.signUp({
      organisation: options.organisation ?? "",
      name: options.name ?? "",
      deviceName: deviceName(options.device),
      residency,
    });
    await settled(context);
    printAccount(context);
  },
};

export const invite: Command = {
  usage: "[--role member|admin] [--uses N] [--valid DURATION] [--for MEMBER]",
  summary: "Make a link with which people join, or a member comes back (owners and admins)",
  details: [
    "Prints the link. Whoever has it can join, so hand it over with care: its secret is in the part after #,",
    "which never reaches the server. Default: role member, 1 use, valid for 7d (1m to 90d, up to 1000 uses).",
    "With --for a member who lost every device and the words comes back by it, under the same name and with a new key:",
    "once it is used, everything that member had is out, and everybody is told.",
  ],
  arity: [0, 0],
  options: ["role", "uses", "valid", "for"],
  profile: "account",
  async run(context) {
    const { engine, print, options, now } = context;
    const { role = "member" } = options;
    if (role !== "member" && role !== "admin") throw new Failure("usage", "--role is member or admin");
    const uses = readCount("--uses", options.uses ?? "1", INVITE.maxUses);
    const expiresIn = readValidity(options.valid);
    if (options.for !== undefined) {
      if (options.role !== undefined || options.uses !== undefined) {
        throw new Failure(
          "usage",
          "--for takes neither --role nor --uses: the member keeps the role, and the link is good once",
        );
      }
      await settled(context);
      const { id, name } = chooseMember(engine.snapshot(), options.for);
      const link = await engine.inviteAgain(id, expiresIn);
      print.json({ type: "invite", link, for: id, uses, expiresAt: now() + expiresIn });
      print.lines(link, print.paint("dim", `For ${printable(name)} alone; valid for ${formatDuration(expiresIn)}.`));
      return;
    }
    const link = await engine.invite({ role, uses, expiresIn });
    print.json({ type: "invite", link, role, uses, expiresAt: now() + expiresIn });
    const people = uses === 1 ? "one person" : `up to ${uses} people`;
    print.lines(link, print.paint("dim", `For ${people} as ${role}; valid for ${formatDuration(expiresIn)}.`));
  },
};

/**
 * How long an invite is good, in ms; a week unless told.
 * @throws {Failure} usage — when no invite may be good that long or short
 */
export function readValidity(text = "7d"): number {
  const expiresIn = parseDuration(text);
  if (expiresIn < INVITE.minValid || expiresIn > INVITE.maxValid) {
    throw new Failure("usage", "--valid is between 1m and 90d");
  }
  return expiresIn;
}

/**
 * A whole number from 1 to `max`.
 * @throws {Failure} usage — when it is anything else
 */
export function readCount(option: string, text: string, max: number): number {
  const count = /^[1-9]\d{0,8}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > max) throw new Failure("usage", `${option} is a whole number from 1 to ${max}`);
  return count;
}

export const join: Command = {
  usage: "LINK --name NAME [--device NAME]",
  summary: "Join an organisation with an invite link",
  details: [
    "The server is the one in the link unless --server says otherwise. Quote the link: it contains a #.",
    "Whoever comes back by a link made for them keeps the name they have.",
  ],
  arity: [1, 1],
  options: ["name", "device"],
  required: ["name"],
  profile: "fresh",
  async run(context) {
    const { engine, args, options } = context;
    await engine.join({ link: args[0] ?? "", name: options.name ?? "", deviceName: deviceName(options.device) });
    await settled(context);
    printAccount(context);
  },
};

export const members: Command = {
  usage: "",
  summary: "List the people of your organisation",
  details: [],
  arity: [0, 0],
  options: [],
  profile: "account",
  async run(context) {
    await settled(context);
    const { print, engine } = context;
    const list = engine.snapshot().members.filter(({ removed }) => !removed);
    for (const { id, name, role } of list) print.json({ type: "member", id, name, role });
    print.lines(
      ...table(
        ["NAME", "ROLE", "ID"],
        list.map(({ id, name, role }) => [name, role, shortId(id)]),
      ),
    );
  },
};

export const devices: Command = {
  usage: "",
  summary: "List your own devices",
  details: [],
  arity: [0, 0],
  options: [],
  profile: "account",
  async run({ engine, print }) {
    const list = await engine.devices();
    for (const device of list) print.json({ type: "device", ...device });
    print.lines(
      ...table(
        ["NAME", "KIND", "ADDED", "LAST USED", "STATE", "ID"],
        list.map(({ id, name, kind, createdAt, lastUsedAt, ...state }) => [
          name,
          kind ?? "",
          formatTime(createdAt),
          formatTime(lastUsedAt),
          stateOf(state),
          shortId(id),
        ]),
      ),
    );
  },
};

function stateOf({ revoked, own, lockedOut }: Pick<DeviceView, "revoked" | "own" | "lockedOut">): string {
  if (revoked) return "revoked";
  if (lockedOut) return "locked";
  return own ? "this one" : "active";
}

/** One of the member's devices that is not revoked. @throws {Failure} unknown, ambiguous */
export async function chooseDevice(engine: Engine, text: string) {
  return choose(
    "device",
    (await engine.devices()).filter(({ revoked }) => !revoked),
    text,
  );
}

export const revoke: Command = {
  usage: "DEVICE",
  summary: "Shut one of your devices out, at once and for good",
  details: ["DEVICE is an id, the beginning of one, or a device's name. This profile's own device can be revoked too."],
  arity: [1, 1],
  options: [],
  profile: "account",
  async run({ engine, print, args }) {
    const { id, name } = await chooseDevice(engine, args[0] ?? "");
    await engine.revokeDevice(id);
    print.json({ type: "revoked", device: id });
    print.lines(`${printable(name)} is shut out.`);
  },
};
