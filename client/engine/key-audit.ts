// Owns replaying a tenant's key log from nothing: every leaf is read, hashed and judged again, whatever this device knew before, and the head and this
// device's own copy are held against it. Believes nothing and changes nothing.

import * as contract from "../../schemas/api.ts";
import { equalBytes, fromBase64url, toHex } from "../../schemas/bytes.ts";
import type { DeviceId, MemberId, TenantId } from "../../schemas/ids.ts";
import { decodeKeyEvent, type KeyEvent } from "../../schemas/key-event.ts";
import { growPeaks, type Hash, leafHash, rootOfPeaks } from "../../schemas/merkle.ts";
import { createCall, type DoorOptions, signedIn } from "./api.ts";
import { judge, type KeyNews, type Known, type LogHead } from "./key-log.ts";
import type { Tokens } from "./token.ts";
import type { KeyAuditView, KeyEventView } from "./view.ts";

export interface KeyAuditOptions extends DoorOptions {
  readonly tokens: Tokens;
  readonly tenant: TenantId;
  /** The head of this device's own copy. */
  readonly own: LogHead;
}

/** Replays the whole log. @throws {Refusal} unavailable, and whatever ends a device's right to ask */
export async function auditKeys({ tokens, tenant, own, ...door }: KeyAuditOptions): Promise<KeyAuditView> {
  const call = signedIn(createCall(door), tokens);
  const { size, root } = await call({ path: "/api/keys/head", answer: contract.KeyHeadAnswer });
  const known: Known = { members: new Map(), devices: new Map() };
  const events: KeyEventView[] = [];
  let peaks: readonly Hash[] = [];
  let ownRoot = own.size === 0 ? rootOfPeaks([]) : undefined;
  while (events.length < size) {
    const path = `/api/keys/leaves?from=${events.length}`;
    const { leaves } = await call({ path, answer: contract.KeyLeavesAnswer });
    if (leaves.length === 0) break;
    for (const text of leaves.slice(0, size - events.length)) {
      const leaf = fromBase64url(text) ?? new Uint8Array();
      peaks = growPeaks(peaks, events.length, leafHash(leaf));
      events.push(await eventView(tenant, { leaf, index: events.length }, known));
      if (events.length === own.size) ownRoot = rootOfPeaks(peaks);
    }
  }
  const problems: KeyAuditView["problems"][number][] = [];
  if (events.length < size) problems.push("incomplete");
  else if (!equalBytes(rootOfPeaks(peaks), fromBase64url(root) ?? new Uint8Array())) problems.push("wrong_head");
  if (ownRoot === undefined) problems.push("rolled_back");
  else if (!equalBytes(ownRoot, own.root)) problems.push("forked");
  if (events.some(({ problem }) => problem !== null)) problems.push("bad_leaf");
  return { size: events.length, root: toHex(rootOfPeaks(peaks)), events, problems };
}

async function eventView(
  tenant: TenantId,
  { leaf, index }: { leaf: Uint8Array; index: number },
  known: Known,
): Promise<KeyEventView> {
  const event = decodeKeyEvent(leaf);
  if (event === undefined) return { index, kind: "unknown", member: null, device: null, problem: "unreadable" };
  const before = { isHere: known.members.has(event.member), device: deviceOf(event, known) };
  const news = await judge(tenant, event, known);
  return {
    index,
    kind: kindOf(news),
    member: event.member,
    device: idOf(event),
    problem: problemOf(event, news, before),
  };
}

function problemOf(
  event: KeyEvent,
  news: KeyNews,
  before: { isHere: boolean; device: { readonly member: MemberId } | undefined },
): KeyEventView["problem"] {
  if (news.kind === "uncertified") return before.device === undefined ? "uncertified" : "twice";
  if (event.type === "member") return before.isHere && news.kind === "member" ? "twice" : null;
  if (event.type === "revoked") return before.device?.member === event.member ? null : "nobody";
  return before.isHere ? null : "nobody";
}

/** What the log says happened, whether or not that is believed. */
function kindOf({ kind }: KeyNews): KeyEventView["kind"] {
  return kind === "uncertified" ? "device" : kind;
}

function idOf(event: KeyEvent): DeviceId | null {
  return event.type === "device" || event.type === "revoked" ? event.device : null;
}

function deviceOf(event: KeyEvent, { devices }: Known): { readonly member: MemberId } | undefined {
  const id = idOf(event);
  return id === null ? undefined : devices.get(id);
}
