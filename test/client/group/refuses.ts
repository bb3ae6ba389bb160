// What refusing hostile bytes means: the reason, and nothing else.

import { expect } from "vitest";
import type { UnreadableReason } from "../../../client/engine/group/open.ts";
import type { Group } from "../../../client/engine/group/state.ts";
import { NOW, openNow, snapshot } from "./people.ts";

/** Opens hostile bytes and expects the reason, no writes and an untouched group. */
export async function refuses(
  group: Group,
  bytes: Uint8Array,
  reason: UnreadableReason,
  acceptedAt = NOW,
): Promise<void> {
  const before = snapshot(group);
  const opened = await openNow(group, bytes, acceptedAt);
  expect(opened.outcome).toEqual({ kind: "unreadable", reason });
  expect(opened.group).toBe(group);
  expect(opened.writes).toEqual([]);
  expect(snapshot(group)).toBe(before);
}
