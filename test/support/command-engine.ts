// An engine without a server: what the command line is told, and a record of what it asked for. It encrypts and stores nothing.

import type {
  ConversationView,
  Engine,
  EngineEvent,
  MemberView,
  MessageView,
  Snapshot,
} from "../../client/engine/view.ts";
import { type ConversationId, type DeviceId, type MemberId, newId, type TenantId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY } from "../../schemas/policy.ts";

/** A member who is there, with a random id unless one is given. */
export function fakeMember(name: string, role: MemberView["role"] = "member", id = newId<MemberId>()): MemberView {
  return { id, name, role, removed: false, key: "known" };
}

export function fakeConversation(over: Partial<ConversationView> = {}): ConversationView {
  return {
    id: newId<ConversationId>(),
    title: null,
    kind: "group",
    members: [],
    createdBy: null,
    state: "active",
    fault: null,
    unread: 0,
    pinned: false,
    muted: null,
    draft: "",
    last: null,
    expiresIn: null,
    activeAt: 0,
    held: null,
    ...over,
  };
}

/** A received text unless told otherwise. */
export function fakeLine(over: Partial<MessageView> = {}): MessageView {
  const { seq = 1 } = over;
  return {
    key: `key-${seq}`,
    seq,
    from: null,
    mine: false,
    at: 0,
    body: { kind: "text", text: `text ${seq}` },
    state: "received",
    refusal: null,
    expiresAt: null,
    ...over,
  };
}

export function fakeSnapshot(over: Partial<Snapshot> = {}): Snapshot {
  const anna = fakeMember("Anna", "owner");
  return {
    phase: "ready",
    code: null,
    connection: "online",
    account: {
      tenant: { id: newId<TenantId>(), name: "Bäckerei", residency: "eu" },
      member: { id: anna.id, name: anna.name, role: anna.role },
      device: newId<DeviceId>(),
    },
    policy: DEFAULT_POLICY,
    residency: "simulated",
    safekeeping: { phrase: "none", backup: "none" },
    linking: null,
    conversations: [],
    members: [anna],
    findings: [],
    ...over,
  };
}

/** The parts of an engine a test cares about; every call is recorded as [method, ...arguments]. */
export class FakeEngine {
  readonly calls: unknown[][] = [];
  readonly timelines = new Map<string, MessageView[]>();
  state: Snapshot;
  readonly #listeners = new Set<(event: EngineEvent) => void>();

  constructor(state: Snapshot = fakeSnapshot()) {
    this.state = state;
  }

  /** Replaces parts of the snapshot and tells. */
  change(over: Partial<Snapshot>): void {
    this.state = { ...this.state, ...over };
    this.tell({ type: "snapshot" });
  }

  tell(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** The engine with some methods replaced; a method nobody replaced records its call and resolves with undefined. */
  engine(methods: Partial<Engine> = {}): Engine {
    const own: Partial<Engine> = {
      snapshot: () => this.state,
      on: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      timeline: async (conversation, { before, limit = 50 } = {}) => {
        const lines = this.timelines.get(conversation) ?? [];
        const end = before === undefined ? lines.length : lines.findIndex(({ key }) => key === before);
        return lines.slice(Math.max(0, end - limit), end);
      },
      ...methods,
    };
    const record = (name: string, args: unknown[]): void => void this.calls.push([name, ...args]);
    return new Proxy({} as Engine, {
      get: (_, name: string) => {
        // An engine is no promise, whoever asks
        if (name === "then") return undefined;
        if (name === "snapshot" || name === "on") return own[name];
        const method = own[name as keyof Engine] as ((...args: unknown[]) => unknown) | undefined;
        return (...args: unknown[]) => {
          record(name, args);
          return method === undefined ? Promise.resolve() : method(...args);
        };
      },
    });
  }
}
