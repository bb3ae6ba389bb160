// Owns what every view shares: the engine, its snapshot as a reactive store, and the names derived from it. It draws nothing.

import { createContext, createMemo, createSignal, onCleanup, useContext } from "solid-js";
import { createStore, reconcile } from "solid-js/store";
import type { ConversationId, MemberId } from "../../schemas/ids.ts";
import type { ConversationView, Engine, MemberView, Snapshot } from "../engine/view.ts";
import { t } from "./language.ts";
import type { Lock, Remote } from "./remote.ts";
import type { LockCalls } from "./wire.ts";

export interface Session {
  readonly engine: Engine;
  readonly view: Snapshot;
  readonly lock: LockControl;
  member(id: MemberId | null): MemberView | undefined;
  /** A person's name, "Sie" for oneself. */
  name(id: MemberId | null): string;
  conversation(id: ConversationId): ConversationView | undefined;
  /** The others in a conversation; only oneself is nobody. */
  others(conversation: ConversationView): readonly MemberId[];
  /** What to call a conversation: its title, or the people in it. */
  title(conversation: ConversationView): string;
  /** Whether one may invite, decide about people and messages of the company, and remove others from any conversation. */
  manages(): boolean;
}

/** The app lock as views use it: its {@link Lock.view} is reactive. */
export type LockControl = LockCalls & Pick<Lock, "view" | "shut">;

/** Follows an engine and its lock until the calling view is gone. */
export function createSession({ engine, lock }: Pick<Remote, "engine" | "lock">): Session {
  const [view, setView] = createStore<Snapshot>(engine.snapshot());
  const stop = engine.on((event) => {
    if (event.type === "snapshot") setView(reconcile(engine.snapshot()));
  });
  onCleanup(stop);
  const [lockView, setLockView] = createSignal(lock.view());
  lock.on(() => setLockView(lock.view()));

  const own = (): MemberId | undefined => view.account?.member.id;
  // Every line asks for a name, so looking people up must not cost a walk through the company.
  const members = createMemo(() => new Map(view.members.map((each) => [each.id, each])));
  const conversations = createMemo(() => new Map(view.conversations.map((each) => [each.id, each])));
  const member = (id: MemberId | null) => (id === null ? undefined : members().get(id));
  const fullName = (id: MemberId | null): string => member(id)?.name ?? t().unknownPerson;
  const others = ({ members }: ConversationView) => members.filter((id) => id !== own());
  return {
    engine,
    view,
    lock: { ...lock, view: lockView },
    member,
    name: (id) => (id !== null && id === own() ? t().you : fullName(id)),
    conversation: (id) => conversations().get(id),
    others,
    title: (conversation) => {
      if (conversation.title !== null) return conversation.title;
      const names = others(conversation).map(fullName);
      // Before this device is in, nobody has told it who else is
      if (names.length === 0) return conversation.state === "joining" ? t().newConversation : t().you;
      if (names.length <= 2) return names.join(", ");
      return t().and(names.slice(0, 2).join(", "), names.length - 2);
    },
    manages: () => view.account !== null && view.account.member.role !== "member",
  };
}

const SessionContext = createContext<Session>();
export const SessionProvider = SessionContext.Provider;

/** The session of the views around. */
export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === undefined) throw new Error("no session around this view");
  return session;
}
