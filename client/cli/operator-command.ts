// Owns the command of whoever runs a server: it needs no profile, but the operator's secret, which comes from the environment alone.

import { renderUnicodeCompact } from "uqr";
import * as v from "valibot";
import { TenantId } from "../../schemas/ids.ts";
import { isRefusal } from "../../schemas/refusal.ts";
import { createCall, Nothing } from "../engine/api.ts";
import { isProtected, newInvite } from "../engine/invite-link.ts";
import { readValidity } from "./account-commands.ts";
import type { ServerCommand } from "./command.ts";
import { formatDuration } from "./duration.ts";
import { Failure } from "./failure.ts";

const USAGE = "return-owner TENANT [--valid DURATION]";

export const operator: ServerCommand = {
  usage: USAGE,
  summary: "Let an organisation's owner come back who has lost everything (whoever runs the server)",
  details: [
    "Nobody in an organisation can put its owner out, so the way back goes through whoever runs the server. TENANT is the",
    "organisation's id. The secret of the operator's door is read from the environment: OPERATOR_SECRET.",
    "Prints a link as invite --for does, good once (7d unless --valid). Whoever has it becomes the owner, with a new key:",
    "make sure it is the right person. Everybody in the organisation is told; owner and admins see that there is such",
    "a link, and can withdraw it.",
  ],
  arity: [2, 2],
  options: ["valid"],
  profile: "none",
  async run({ print, args, options, server, timeout, env, now }) {
    const [what, id] = args;
    const tenant = v.safeParse(TenantId, id);
    if (what !== "return-owner") throw new Failure("usage", `write: kuvert operator ${USAGE}`);
    if (!tenant.success) throw new Failure("usage", "TENANT is the id of an organisation, 22 characters");
    const expiresIn = readValidity(options.valid);
    const secret = env.OPERATOR_SECRET ?? "";
    if (secret === "") throw new Failure("usage", "OPERATOR_SECRET is not set in the environment");
    if (!isProtected(new URL(server))) throw new Failure("usage", `the secret does not go to ${server}: use https`);
    const { link, ...invite } = newInvite(server);
    await knock({
      server,
      timeout,
      secret,
      path: `/api/operator/tenants/${tenant.output}/owner-return`,
      body: { ...invite, expiresIn },
    });
    print.json({ type: "invite", link, role: "owner", uses: 1, expiresAt: now() + expiresIn });
    print.lines(
      renderUnicodeCompact(link),
      link,
      print.paint("dim", `For the organisation's owner alone; valid for ${formatDuration(expiresIn)}.`),
    );
  },
};

interface Knock {
  readonly server: string;
  readonly timeout: number;
  readonly secret: string;
  readonly path: string;
  readonly body: object;
}

/** @throws {Failure} not_found — the door does not open to this secret, or there is no such organisation: it says not which */
async function knock({ server, timeout, secret, path, body }: Knock): Promise<void> {
  try {
    await createCall({ server, timeout })({ method: "POST", path, body, answer: Nothing }, secret);
  } catch (error) {
    if (!isRefusal(error) || error.code !== "not_found") throw error;
    throw new Failure("not_found", "there is no such organisation there, or the operator's secret is not this one");
  }
}
