// Owns the engine as drawing code sees it: opens the profile, answers what may be asked, and hands work to the session. No rules of its own.

import * as v from "valibot";
import { Name } from "../../schemas/api.ts";
import { type ConversationId, newId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY, LIMITS } from "../../schemas/policy.ts";
import { isRefusal, Refusal } from "../../schemas/refusal.ts";
import { accountView, dropAccount, join, loadAccount, previewInvite, saveAccount, signUp } from "./account.ts";
import { deviceView, inviteView } from "./account-views.ts";
import { createDoor, type Door, type TokenAnswer } from "./api.ts";
import { systemClock } from "./clock.ts";
import type { Conversation } from "./conversation.ts";
import { conversationView, keyOf, settingsOf, timelineOf } from "./conversation-view.ts";
import { encryptionView } from "./encryption-view.ts";
import { Gaining } from "./gaining.ts";
import { newInvite } from "./invite-link.ts";
import { late } from "./late.ts";
import { isHistoryPending } from "./linking/pending.ts";
import { Live } from "./live.ts";
import { FOR_GOOD, setMark } from "./marks.ts";
import type { MessengerOptions } from "./messenger-options.ts";
import type { AccountRecord, IntentRecord } from "./records.ts";
import { ScopedClock } from "./scoped-clock.ts";
import { Session } from "./session.ts";
import type { Engine, Snapshot } from "./view.ts";

/** How long leaving waits for what is still to be sent, in ms. */
const LAST_WORDS = 3_000;
/** How long a server that did not say what it is is left alone, in ms. */
const ASK_AGAIN = 5_000;

const RUNNING = { table: "meta", key: "running" } as const;

/** Opens a profile. Resolves when everything that is known locally can be shown; needs no network. */
export async function openMessenger(options: MessengerOptions): Promise<Engine> {
  const messenger = new Messenger(options);
  await messenger.start();
  return messenger;
}

class Messenger implements Engine {
  readonly #options: MessengerOptions;
  readonly #clock: ScopedClock;
  readonly #live = new Live();
  readonly #door: Door;
  readonly #gaining: Gaining;
  #session: Session | null = null;
  #ended: AccountRecord | null = null;
  #careful = false;
  #residency: Snapshot["residency"] = null;

  constructor(options: MessengerOptions) {
    this.#options = options;
    this.#clock = new ScopedClock(options.clock ?? systemClock);
    const { server, store, sealing, fetch } = options;
    const door = { server, ...(fetch !== undefined && { fetch }) };
    this.#door = createDoor(door);
    this.#gaining = new Gaining({
      door,
      store,
      sealing,
      clock: this.#clock,
      changed: () => this.#live.changed(),
      gained: (account) => this.#open(account),
    });
  }

  async start(): Promise<void> {
    const { store, network } = this.#options;
    network?.addEventListener("online", this.#networked);
    network?.addEventListener("offline", this.#networked);
    this.#careful = (await store.get(RUNNING.table, RUNNING.key)) !== undefined;
    // Whatever is written later is durable later, so what is only read need not wait for this
    const [account] = await Promise.all([this.#load(), store.write([{ ...RUNNING, value: new Uint8Array(1) }])]);
    if (account?.state === "ended") this.#ended = account;
    else if (account !== undefined) await this.#enter(account);
    else this.#goOn();
    void this.#ask();
  }

  async #load(): Promise<AccountRecord | undefined> {
    const account = await loadAccount(this.#options.store);
    await this.#gaining.load(account !== undefined && account.state !== "draft");
    return account;
  }

  snapshot(): Snapshot {
    const session = this.#session;
    const account = session?.account ?? this.#ended;
    const views =
      session?.conversations.shown.map((each) => conversationView(each, session.drafts.of(each.ledger.id))) ?? [];
    return {
      phase: account == null ? "fresh" : account.state === "ended" ? "ended" : "ready",
      code: account?.code ?? null,
      connection: this.#isOffline ? "offline" : session?.online === true ? "online" : "connecting",
      account: account == null ? null : accountView(account),
      policy: account?.policy ?? null,
      residency: this.#residency,
      safekeeping: session?.safekeeping.state ?? null,
      linking: this.#gaining.view,
      conversations: views.sort((a, b) => Number(b.pinned) - Number(a.pinned) || b.activeAt - a.activeAt),
      members: session?.members ?? [],
      findings: session?.findings.open ?? [],
    };
  }

  on: Engine["on"] = (listener) => this.#live.on(listener);

  signUp: Engine["signUp"] = async ({ organisation, name, deviceName, residency = "eu" }) => {
    await this.#beginAnew();
    const { account, token } = await signUp(this.#means, { organisation, name, deviceName, residency });
    await this.#open(account, token);
  };

  previewInvite: Engine["previewInvite"] = (link) => previewInvite(this.#door, link);

  join: Engine["join"] = async (input) => {
    await this.#beginAnew();
    const { account, token } = await join(this.#means, input);
    await this.#open(account, token);
  };

  invite: Engine["invite"] = async ({ role, uses, expiresIn }) => {
    const { link, ...invite } = newInvite(this.#options.server);
    await this.#ready.api.createInvite({ ...invite, role, uses, expiresIn });
    return link;
  };

  inviteAgain: Engine["inviteAgain"] = async (member, expiresIn) => {
    const { link, ...invite } = newInvite(this.#options.server);
    await this.#ready.api.createInvite({ ...invite, role: "member", uses: 1, expiresIn, member });
    return link;
  };

  invites: Engine["invites"] = async () => (await this.#ready.api.invites()).map(inviteView);

  revokeInvite: Engine["revokeInvite"] = (invite) => this.#ready.api.revokeInvite(invite);

  setPolicy: Engine["setPolicy"] = (policy) => this.#decide((api) => api.setPolicy(policy));

  setRole: Engine["setRole"] = (member, role) => this.#decide((api) => api.setRole(member, role));

  removeMember: Engine["removeMember"] = (member) => this.#decide((api) => api.removeMember(member));

  create: Engine["create"] = async ({ title, members }) => {
    const { conversations, account } = this.#ready;
    const others = [...new Set(members)].filter((member) => member !== account.member.id);
    const [other] = others;
    if (title === null && others.length === 1 && other !== undefined) {
      const known = conversations.all.find(({ ledger: { record } }) => {
        const isDirect = record.kind === "direct" && (record.state === "active" || record.state === "joining");
        return isDirect && record.members.length === 2 && record.members.includes(other);
      });
      if (known !== undefined) return known.ledger.id;
    }
    const id = newId<ConversationId>();
    await conversations.create({ id, title: title === null ? null : checkName(title, "title"), members: others });
    return id;
  };

  add: Engine["add"] = async (id, members) => this.#findOpen(id).change({ kind: "add", members });

  remove: Engine["remove"] = async (id, member) => this.#findOpen(id).change({ kind: "remove", member });

  leave: Engine["leave"] = async (id) => {
    const conversation = this.#findOpen(id);
    // What was said before leaving should be heard
    await conversation.drained(LAST_WORDS);
    await conversation.change({ kind: "leave" });
  };

  send: Engine["send"] = async (id, text, expiresIn) => {
    const conversation = this.#findOpen(id);
    if (text.length === 0) throw new Refusal("malformed", { reason: "text" });
    if (text.length > LIMITS.textCharacters) throw new Refusal("too_large", { most: LIMITS.textCharacters });
    const wanted = expiresIn === undefined ? settingsOf(conversation).expiresIn : expiresIn;
    this.#ready.conversations.touch(id);
    const intent = await conversation.wish({
      kind: "text",
      text: text.toWellFormed(),
      expiresIn: this.#allowed(wanted),
    });
    return keyOf(intent);
  };

  keepDraft: Engine["keepDraft"] = async (id, text) => {
    await this.#ready.drafts.keep(this.#find(id).ledger.id, text);
    this.#live.changed();
  };

  retry: Engine["retry"] = async (id, key) => {
    const conversation = this.#find(id);
    const intent = waiting(conversation, key);
    if (intent !== undefined) await conversation.retry(intent);
  };

  discard: Engine["discard"] = async (id, key) => {
    const conversation = this.#find(id);
    const intent = waiting(conversation, key);
    if (intent !== undefined) await conversation.discard(intent);
  };

  rename: Engine["rename"] = async (id, title) => {
    const conversation = this.#findOpen(id);
    await conversation.wish({ kind: "settings", title: checkName(title, "title") });
  };

  expire: Engine["expire"] = async (id, expiresIn) => {
    const conversation = this.#findOpen(id);
    await conversation.wish({ kind: "settings", expiresIn: this.#allowed(expiresIn) });
  };

  timeline: Engine["timeline"] = (id, page = {}) => timelineOf(this.#find(id), page);

  read: Engine["read"] = async (id) => {
    const conversation = this.#find(id);
    this.#ready.conversations.touch(id);
    await conversation.read();
  };

  pin: Engine["pin"] = async (id, isPinned) => setMark(this.#find(id).ledger, { pinned: isPinned });

  mute: Engine["mute"] = async (id, until) => {
    const { ledger } = this.#find(id);
    const mutedUntil = until === null ? FOR_GOOD : ledger.surroundings.time.fromLocal(until);
    await setMark(ledger, { mutedUntil });
  };

  unmute: Engine["unmute"] = async (id) => setMark(this.#find(id).ledger, { mutedUntil: 0 });

  encryption: Engine["encryption"] = (id) => encryptionView(this.#find(id));

  safety: Engine["safety"] = async (member) => this.#ready.safety.of(member);

  verify: Engine["verify"] = async (member, isVerified) => {
    const { safety, conversations } = this.#ready;
    await safety.verify(member, isVerified);
    conversations.resume();
  };

  scanSafety: Engine["scanSafety"] = async (member, scanned) => {
    const { safety, conversations } = this.#ready;
    const outcome = await safety.scan(member, scanned);
    conversations.resume();
    return outcome;
  };

  auditKeys: Engine["auditKeys"] = async () => this.#ready.keys.audit();

  noteFinding: Engine["noteFinding"] = async (finding) => this.#ready.keys.note(finding);

  devices: Engine["devices"] = async (member) => {
    const { api, account } = this.#ready;
    return (await api.devices(member)).map((device) => deviceView(account.device, device));
  };

  revokeDevice: Engine["revokeDevice"] = async (device) => {
    const { api, safekeeping } = this.#ready;
    await api.revokeDevice(device);
    // It may have been the one that kept the backup
    safekeeping.note();
  };

  renameDevice: Engine["renameDevice"] = async (device, name) =>
    this.#ready.api.renameDevice(device, checkName(name, "name"));

  releaseDevice: Engine["releaseDevice"] = (device) => this.#ready.api.releaseDevice(device);

  offerLink: Engine["offerLink"] = async () => this.#gaining.offer(this.#ready);

  confirmLink: Engine["confirmLink"] = () => this.#gaining.confirm();

  cancelLink: Engine["cancelLink"] = () => this.#gaining.cancel();

  link: Engine["link"] = async ({ code, deviceName }) => {
    this.#mustBeFresh();
    await this.#gaining.enter(code, checkName(deviceName, "name"));
  };

  recoveryWords: Engine["recoveryWords"] = async () => {
    const { safekeeping } = this.#ready;
    const words = await safekeeping.words();
    // What the words bring back is there as soon as they are
    void safekeeping.run();
    return words;
  };

  confirmWords: Engine["confirmWords"] = async (entered) => this.#ready.safekeeping.confirm(entered);

  recover: Engine["recover"] = async ({ phrase, deviceName }) => {
    await this.#beginAnew();
    await this.#open(await this.#gaining.recover(phrase, checkName(deviceName, "name")));
  };

  passkeys: Engine["passkeys"] = async () => (await this.#ready.passkeys()).list();

  offerPasskey: Engine["offerPasskey"] = async () => (await this.#ready.passkeys()).offer();

  addPasskey: Engine["addPasskey"] = async ({ name, made }) =>
    (await this.#ready.passkeys()).add(checkName(name, "name"), made);

  removePasskey: Engine["removePasskey"] = async (passkey) => (await this.#ready.passkeys()).remove(passkey);

  passkeyChallenge: Engine["passkeyChallenge"] = async () => {
    this.#mustBeFresh();
    const { server, fetch } = this.#options;
    const { askPasskeyChallenge } = await late(() => import("./recovery/passkeys.ts"));
    return askPasskeyChallenge({ server, ...(fetch !== undefined && { fetch }) });
  };

  recoverByPasskey: Engine["recoverByPasskey"] = async ({ answer, deviceName }) => {
    await this.#beginAnew();
    await this.#open(await this.#gaining.recoverByPasskey(answer, checkName(deviceName, "name")));
  };

  backUp: Engine["backUp"] = async () => this.#ready.safekeeping.run();

  settled: Engine["settled"] = async (timeout) => this.#session?.settled(timeout);

  close: Engine["close"] = async () => {
    const { store, network } = this.#options;
    network?.removeEventListener("online", this.#networked);
    network?.removeEventListener("offline", this.#networked);
    const session = this.#session;
    await session?.farewell(LAST_WORDS);
    this.#session = null;
    session?.close();
    this.#clock.close();
    await session?.idle();
    await store.write([{ ...RUNNING, value: null }]).catch((error: unknown) => this.#fault("close", error));
    await store.close();
  };

  readonly #networked = (): void => {
    if (!this.#isOffline) this.#session?.wake();
    this.#live.changed();
  };

  get #isOffline(): boolean {
    return this.#options.network?.navigator.onLine === false;
  }

  get #means() {
    return { door: this.#door, store: this.#options.store, sealing: this.#options.sealing };
  }

  get #ready(): Session {
    const account = this.#session?.account ?? this.#ended;
    if (this.#session === null || account?.state === "ended") throw new Refusal(account?.code ?? "unauthenticated");
    return this.#session;
  }

  /** Changes something about the company and fetches what it has become. */
  async #decide(change: (api: Session["api"]) => Promise<void>): Promise<void> {
    const session = this.#ready;
    await change(session.api);
    session.refresh();
  }

  #mustBeFresh(): void {
    if (this.#session !== null || this.#ended !== null) throw new Refusal("conflict", { reason: "account" });
  }

  /** Another way in than the code that was entered, if one was. */
  async #beginAnew(): Promise<void> {
    this.#mustBeFresh();
    await this.#gaining.cancel();
  }

  #find(id: ConversationId): Conversation {
    const conversation = (this.#session ?? this.#ready).conversations.find(id);
    if (conversation === undefined || conversation.ledger.record.kind === "self") throw new Refusal("not_found");
    return conversation;
  }

  /** One that can still be written into. @throws {Refusal} forbidden — it has ended here, or its log is broken */
  #findOpen(id: ConversationId): Conversation {
    const conversation = this.#find(id);
    const { state } = conversation.ledger.record;
    if (state === "ended" || state === "broken") throw new Refusal("forbidden", { state });
    return conversation;
  }

  /** A timer within what the tenant allows. */
  #allowed(expiresIn: number | null): number | null {
    if (expiresIn === null) return null;
    const { minExpiry, maxExpiry } = this.#session?.account.policy ?? DEFAULT_POLICY;
    return Math.min(Math.max(expiresIn, minExpiry), maxExpiry);
  }

  /** A sign-up whose answer was lost: the server says whether it had come through. */
  async #adopt(draft: AccountRecord): Promise<void> {
    const ready: AccountRecord = { ...draft, state: "ready" };
    const session = await this.#make(ready);
    try {
      await session.api.tenant();
      await saveAccount(this.#options.store, ready);
      await this.#gaining.forget();
      this.#session = session;
      this.#live.changed();
    } catch (error) {
      session.close();
      if (!isRefusal(error) || error.code !== "not_found") return;
      await dropAccount(this.#options.store);
      this.#goOn();
    }
  }

  /** Goes on with the code that an earlier run has entered. */
  #goOn(): void {
    this.#gaining.goOn().catch((error: unknown) => {
      if (!isRefusal(error)) this.#fault("linking", error);
    });
  }

  /** Opens what the profile has, once all of a history that was handed over is here. */
  async #enter(account: AccountRecord): Promise<void> {
    const enter = () => (account.state === "ready" ? this.#open(account) : this.#adopt(account));
    if (!(await isHistoryPending(this.#options.store))) return enter();
    const arrived = this.#gaining.arrive().then(enter);
    arrived.catch((error: unknown) => this.#fault("arrival", error));
  }

  async #open(account: AccountRecord, token?: TokenAnswer): Promise<void> {
    this.#session = await this.#make(account, token);
    this.#live.changed();
    this.#gaining.resume(this.#session).catch((error: unknown) => {
      if (!isRefusal(error)) this.#fault("handover", error);
    });
  }

  #make(account: AccountRecord, token?: TokenAnswer): Promise<Session> {
    const { store, server, kind, fetch, WebSocket } = this.#options;
    return Session.open({
      account,
      token,
      store,
      server,
      kind,
      door: this.#door,
      fetch,
      WebSocket,
      clock: this.#clock,
      live: this.#live,
      careful: this.#careful,
      fault: (where, error) => this.#fault(where, error),
    });
  }

  /** Asks what this server is, until it answers. */
  async #ask(): Promise<void> {
    try {
      this.#residency = (await this.#door.about()).residency;
      this.#live.changed();
    } catch {
      this.#clock.after(ASK_AGAIN, () => void this.#ask());
    }
  }

  #fault(where: string, error: unknown): void {
    this.#options.log?.(where, error);
  }
}

/** @throws {Refusal} malformed — nothing anybody could call a conversation or a device */
function checkName(name: string, reason: "title" | "name"): string {
  const parsed = v.safeParse(Name, name);
  if (!parsed.success) throw new Refusal("malformed", { reason });
  return parsed.output;
}

function waiting({ ledger }: Conversation, key: string): IntentRecord | undefined {
  return ledger.outbox.all.find((intent) => keyOf(intent) === key);
}
