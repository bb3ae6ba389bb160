// An engine without a server, for looking at the client in states that are hard to reach. It answers like the real one, from memory.

import type {
  DeviceView,
  Engine,
  EngineEvent,
  InvitePreview,
  InviteView,
  MessageView,
  PasskeyView,
  Snapshot,
} from "../../../client/engine/view.ts";
import type { ConversationId, DeviceId, InviteId, MemberId } from "../../../schemas/ids.ts";
import { newId } from "../../../schemas/ids.ts";
import { Refusal } from "../../../schemas/refusal.ts";

export interface FakeState {
  snapshot: Snapshot;
  readonly timelines: Map<ConversationId, MessageView[]>;
  readonly preview?: InvitePreview | Refusal;
  readonly devices?: readonly DeviceView[];
  readonly words?: readonly string[];
  readonly passkeys?: readonly PasskeyView[];
  readonly invites?: readonly InviteView[];
}

export interface FakeEngine extends Engine {
  /** Changes the snapshot and tells the listeners. */
  change(change: Partial<Snapshot>): void;
  /** Adds or replaces a line and tells the listeners. */
  put(conversation: ConversationId, line: MessageView): void;
}

export function createFakeEngine(state: FakeState): FakeEngine {
  const listeners = new Set<(event: EngineEvent) => void>();
  const emit = (event: EngineEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const linesOf = (conversation: ConversationId) => state.timelines.get(conversation) ?? [];
  const change = (next: Partial<Snapshot>): void => {
    state.snapshot = { ...state.snapshot, ...next };
    emit({ type: "snapshot" });
  };
  const changeConversation = (id: ConversationId, next: Partial<Snapshot["conversations"][number]>): void =>
    change({
      conversations: state.snapshot.conversations.map((each) => (each.id === id ? { ...each, ...next } : each)),
    });
  /** A person has looked at a key: nothing is held back on its account any more. */
  const mark = (member: MemberId, key: "verified" | "known"): void =>
    change({
      members: state.snapshot.members.map((each) => (each.id === member ? { ...each, key } : each)),
      conversations: state.snapshot.conversations.map((each) => ({ ...each, held: null })),
    });
  const put = (conversation: ConversationId, line: MessageView): void => {
    const others = linesOf(conversation).filter(({ key }) => key !== line.key);
    state.timelines.set(conversation, [...others, line]);
    emit({ type: "timeline", conversation });
    if (!line.mine && line.body.kind === "text") emit({ type: "message", conversation, message: line });
  };
  return {
    snapshot: () => state.snapshot,
    on: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    change,
    put,
    signUp: async () => change({ phase: "ready" }),
    previewInvite: async () => {
      if (state.preview === undefined) throw new Refusal("not_found");
      if (state.preview instanceof Refusal) throw state.preview;
      return state.preview;
    },
    join: async () => change({ phase: "ready" }),
    invite: async () => `${location.origin}/join#AAAAAAAAAAAAAAAAAAAAAA.${"k".repeat(43)}`,
    inviteAgain: async () => `${location.origin}/join#AAAAAAAAAAAAAAAAAAAAAA.${"k".repeat(43)}`,
    invites: async () => state.invites ?? [],
    revokeInvite: async (_: InviteId) => undefined,
    setPolicy: async (policy) => change({ policy }),
    setRole: async (id, role) =>
      change({ members: state.snapshot.members.map((each) => (each.id === id ? { ...each, role } : each)) }),
    removeMember: async (id) =>
      change({ members: state.snapshot.members.map((each) => (each.id === id ? { ...each, removed: true } : each)) }),
    create: async ({ title, members }) => {
      const id = newId<ConversationId>();
      const conversation = {
        id,
        title,
        kind: members.length > 1 || title !== null ? "group" : "direct",
        members: [...(state.snapshot.account ? [state.snapshot.account.member.id] : []), ...members],
        createdBy: state.snapshot.account?.member.id ?? null,
        state: "active",
        fault: null,
        unread: 0,
        pinned: false,
        muted: null,
        draft: "",
        last: null,
        expiresIn: null,
        activeAt: Date.now(),
        held: null,
      } as const;
      change({ conversations: [conversation, ...state.snapshot.conversations] });
      return id;
    },
    add: async (id, members) => {
      const before = state.snapshot.conversations.find((each) => each.id === id)?.members ?? [];
      changeConversation(id, { members: [...before, ...members] });
    },
    remove: async (id, member) => {
      const before = state.snapshot.conversations.find((each) => each.id === id)?.members ?? [];
      changeConversation(id, { members: before.filter((each) => each !== member) });
    },
    leave: async (id) => changeConversation(id, { state: "ended" }),
    send: async (conversation, text, expiresIn) => {
      const key = newId<ConversationId>();
      put(conversation, {
        key,
        seq: null,
        from: state.snapshot.account?.member.id ?? null,
        mine: true,
        at: Date.now(),
        body: { kind: "text", text },
        state: "waiting",
        refusal: null,
        expiresAt: typeof expiresIn === "number" ? Date.now() + expiresIn : null,
      });
      return key;
    },
    keepDraft: async (id, draft) => changeConversation(id, { draft }),
    retry: async () => undefined,
    discard: async (conversation, key) => {
      state.timelines.set(
        conversation,
        linesOf(conversation).filter((line) => line.key !== key),
      );
      emit({ type: "timeline", conversation });
    },
    rename: async (id, title) => changeConversation(id, { title }),
    expire: async (id, expiresIn) => changeConversation(id, { expiresIn }),
    timeline: async (conversation, { before, limit = 100 } = {}) => {
      const lines = linesOf(conversation);
      const end = before === undefined ? lines.length : lines.findIndex(({ key }) => key === before);
      return structuredClone(lines.slice(Math.max(0, end - limit), Math.max(0, end)));
    },
    read: async (id) => changeConversation(id, { unread: 0 }),
    pin: async (id, pinned) => changeConversation(id, { pinned }),
    mute: async (id, until) => changeConversation(id, { muted: { until } }),
    unmute: async (id) => changeConversation(id, { muted: null }),
    encryption: async (id) => ({
      suite: "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
      epoch: 14,
      devices: (state.snapshot.conversations.find((each) => each.id === id)?.members ?? []).map((member, index) => ({
        member,
        device: newId<DeviceId>(),
        certified: index !== 3,
      })),
      code: "48210 99317 05526 71840 33902 18457",
    }),
    safety: async (member) => {
      const key = state.snapshot.members.find(({ id }) => id === member)?.key ?? "known";
      return {
        number: "0123456789".repeat(6),
        code: `kuvert-safety:${"x".repeat(200)}`,
        state: key,
        since: 0,
        verifiedAt: key === "verified" ? 0 : null,
        wasVerified: key === "changed",
        contradicted: false,
      };
    },
    auditKeys: async () => ({ size: 0, root: "", events: [], problems: [] }),
    scanSafety: async (member, scanned) => {
      if (scanned !== "kuvert-safety:theirs") return "mismatch";
      mark(member, "verified");
      return "match";
    },
    verify: async (member, isVerified) => mark(member, isVerified ? "verified" : "known"),
    noteFinding: async (finding) => change({ findings: state.snapshot.findings.filter(({ id }) => id !== finding) }),
    devices: async () => state.devices ?? [],
    revokeDevice: async () => undefined,
    renameDevice: async () => undefined,
    releaseDevice: async () => undefined,
    offerLink: async () => undefined,
    confirmLink: async () => undefined,
    cancelLink: async () => change({ linking: null }),
    link: async () => undefined,
    recoveryWords: async () => state.words ?? [],
    confirmWords: async () => true,
    recover: async () => undefined,
    passkeys: async () => state.passkeys ?? [],
    offerPasskey: async () => ({ challenge: "AAAA", user: { id: "AAAA", name: "Anna" }, taken: [] }),
    addPasskey: async () => undefined,
    removePasskey: async () => undefined,
    passkeyChallenge: async () => "AAAA",
    recoverByPasskey: async () => undefined,
    backUp: async () => undefined,
    settled: async () => undefined,
    close: async () => undefined,
  };
}
