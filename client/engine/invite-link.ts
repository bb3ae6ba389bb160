// Owns the form of an invite link: `<server>/join#<invite>.<secret>`. The secret stands behind "#", which browsers never send.

import { sha256 } from "@noble/hashes/sha2.js";
import * as v from "valibot";
import { fromBase64url, randomBytes, toBase64url } from "../../schemas/bytes.ts";
import { InviteId, newId } from "../../schemas/ids.ts";
import { Refusal } from "../../schemas/refusal.ts";

export interface Invite {
  /** Origin of the server that made it. */
  readonly server: string;
  readonly invite: InviteId;
  /** 32 random bytes. */
  readonly secret: Uint8Array;
}

/** A new invite: its link, and what the server is told, which is only a hash of the secret. */
export function newInvite(server: string): { id: InviteId; secretHash: string; link: string } {
  const invite = newId<InviteId>();
  const secret = randomBytes(32);
  return { id: invite, secretHash: toBase64url(sha256(secret)), link: makeInviteLink({ server, invite, secret }) };
}

/** The link to hand over for an invite. */
export function makeInviteLink({ server, invite, secret }: Invite): string {
  return `${new URL(server).origin}/join#${invite}.${toBase64url(secret)}`;
}

/** Reads a link as somebody pasted it. @throws {Refusal} malformed — it is no invite link, or would go over the network unprotected */
export function parseInviteLink(text: string): Invite {
  const url = URL.parse(text.trim());
  const [inviteText, secretText, ...rest] = url?.hash.slice(1).split(".") ?? [];
  const invite = v.safeParse(InviteId, inviteText);
  const secret = fromBase64url(secretText ?? "");
  const good = url?.pathname === "/join" && url.search === "" && url.username === "" && url.password === "";
  if (!good || !isProtected(url) || !invite.success || secret?.length !== 32 || rest.length > 0) {
    throw new Refusal("malformed", { reason: "invite_link" });
  }
  return { server: url.origin, invite: invite.output, secret };
}

/** Whether what goes to an address is read by nobody on the way. Plain HTTP is good enough only inside this machine. */
export function isProtected({ protocol, hostname }: URL): boolean {
  const inside = ["localhost", "127.0.0.1", "[::1]"].includes(hostname) || hostname.endsWith(".localhost");
  return protocol === "https:" || (protocol === "http:" && inside);
}
