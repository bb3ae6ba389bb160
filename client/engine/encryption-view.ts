// Owns how a conversation's encryption is explained: who holds keys, and a code people can compare.

import { Refusal } from "../../schemas/refusal.ts";
import type { Conversation } from "./conversation.ts";
import { facts, roster } from "./group/group.ts";
import type { EncryptionView } from "./view.ts";

const SUITE = "MLS 1.0 · X25519 · AES-128-GCM · SHA-256 · Ed25519";
const GROUPS = 6;

/** How a conversation is encrypted right now. @throws {Refusal} not_found — this device is not in its group */
export async function encryptionView({ ledger }: Conversation): Promise<EncryptionView> {
  const group = await ledger.turn(async () => ledger.group);
  const now = group == null ? undefined : facts(group);
  if (group == null || now === undefined) throw new Refusal("not_found");
  const { keys } = ledger.surroundings;
  const devices = roster(group).map((peer) => ({
    member: peer.member,
    device: peer.device,
    certified: keys.trust(peer) && !keys.isOut(peer.device),
  }));
  return { suite: SUITE, epoch: now.epoch, devices, code: digits(now.epochAuthenticator) };
}

/** Groups of five digits, each out of five bytes. */
function digits(bytes: Uint8Array): string {
  const groups: string[] = [];
  for (let group = 0; group < GROUPS; group++) {
    let number = 0;
    for (const byte of bytes.subarray(group * 5, group * 5 + 5)) number = (number * 256 + byte) % 100_000;
    groups.push(String(number).padStart(5, "0"));
  }
  return groups.join(" ");
}
