// Owns a signed-in engine: puts its parts together, keeps the mailbox open, hands on what it brings. Ends when the server will not have this device.

import type { DeviceKind } from "../../schemas/api.ts";
import { decodeCbor, encodeCbor } from "../../schemas/cbor.ts";
import type { RefusalCode } from "../../schemas/refusal.ts";
import { isRefusal, REFUSALS, Refusal } from "../../schemas/refusal.ts";
import { meOf, saveAccount } from "./account.ts";
import { type Api, createApi, type Door, type TokenAnswer } from "./api.ts";
import { ChangedRows } from "./backup/changed.ts";
import { PORTABLE_TABLES } from "./backup/engine-rows.ts";
import { Conversations } from "./conversations.ts";
import { createDialer } from "./dialer.ts";
import { Drafts } from "./drafts.ts";
import { Findings } from "./findings.ts";
import { sign } from "./group/device-keys.ts";
import type { Claim } from "./group/state.ts";
import { KeyStock } from "./key-stock.ts";
import { KeyWatch } from "./key-watch.ts";
import { late } from "./late.ts";
import type { Live } from "./live.ts";
import { Mailbox } from "./mailbox.ts";
import { People } from "./people.ts";
import type { AccountRecord } from "./records.ts";
import type { Passkeys } from "./recovery/passkeys.ts";
import { Safekeeping } from "./safekeeping.ts";
import { Safety } from "./safety.ts";
import type { ScopedClock } from "./scoped-clock.ts";
import { ServerTime } from "./server-time.ts";
import { Siblings, selfConversation } from "./siblings.ts";
import { isStoreFailure, type Store } from "./store.ts";
import type { Surroundings } from "./surroundings.ts";
import { Timers } from "./timers.ts";
import { createTokens, type Tokens } from "./token.ts";
import { Trust } from "./trust.ts";
import type { MemberView } from "./view.ts";

/** Asked again this often when the server could not be reached, in ms. */
const REFRESH_AGAIN = { least: 2_000, most: 60_000 };

/** Other reasons to be shut out may pass: they are found out anew when the profile is next opened. */
const FOR_GOOD: ReadonlySet<RefusalCode> = new Set(["device_revoked", "not_found", "forbidden"]);

/** What the server was told this device is. */
const DESCRIBED = { table: "meta", key: "device-kind" } as const;

export interface SessionOptions {
  readonly account: AccountRecord;
  readonly token?: TokenAnswer | undefined;
  readonly store: Store;
  readonly server: string;
  readonly kind?: DeviceKind | undefined;
  readonly door: Door;
  readonly fetch?: typeof fetch | undefined;
  readonly WebSocket?: typeof WebSocket | undefined;
  readonly clock: ScopedClock;
  readonly live: Live;
  readonly careful: boolean;
  readonly fault: (where: string, error: unknown) => void;
}

/** An account at work. */
export class Session {
  readonly api: Api;
  readonly tokens: Tokens;
  readonly people: People;
  readonly conversations: Conversations;
  readonly safety: Safety;
  readonly drafts: Drafts;
  readonly keys: KeyWatch;
  readonly findings: Findings;
  readonly #options: SessionOptions;
  readonly #stock: KeyStock;
  readonly #time: ServerTime;
  readonly #timers: Timers;
  readonly #mailbox: Mailbox;
  readonly #siblings: Siblings;
  readonly #rows: ChangedRows;
  readonly #waiting = new Set<() => void>();
  #account: AccountRecord;
  #safekeeping: Safekeeping | null = null;
  #refreshing: Promise<void> | null = null;
  #isStale = false;
  #refreshFailures = 0;
  #hasRefreshed = false;

  private constructor(
    options: SessionOptions,
    parts: {
      time: ServerTime;
      people: People;
      safety: Safety;
      trust: Trust;
      drafts: Drafts;
      rows: ChangedRows;
      kept: Awaited<ReturnType<typeof Siblings.kept>>;
      tokens: Tokens;
      keys: KeyWatch;
      findings: Findings;
      after: number;
    },
  ) {
    const { account, store, server, clock, live, fault } = options;
    const { time, people, safety, trust, drafts, rows, kept, tokens, keys, findings, after } = parts;
    this.#options = options;
    this.#account = account;
    this.#time = time;
    this.people = people;
    this.safety = safety;
    this.drafts = drafts;
    this.#rows = rows;
    this.keys = keys;
    this.findings = findings;
    this.tokens = tokens;
    this.api = createApi({ server, tokens, ...(options.fetch !== undefined && { fetch: options.fetch }) });
    const me = meOf(account);
    const dialer = (path: string) =>
      createDialer({ server, path, tokens, ...(options.WebSocket !== undefined && { WebSocket: options.WebSocket }) });
    this.#timers = new Timers({ store, clock, time });
    this.#stock = new KeyStock({ store, api: this.api, me, time });
    this.#siblings = new Siblings(
      {
        self: selfConversation(account),
        store,
        api: this.api,
        clock,
        time,
        trust,
        compared: () => this.conversations.resume(),
        changed: () => {
          this.conversations.review();
          live.changed();
        },
        fault: (error) => fault("siblings", error),
      },
      kept,
    );
    const surroundings: Surroundings = {
      store,
      api: this.api,
      clock,
      time,
      live,
      people,
      keys,
      timers: this.#timers,
      siblings: this.#siblings,
      context: { me, trust: (claim) => this.#trust(claim), mayChange: () => true },
      careful: options.careful,
      policy: () => this.#account.policy,
      dialer,
      review: () => this.conversations.review(),
      keep: () => this.#safekeeping?.note(),
      meet: () => this.refresh(),
      end: (code) => void this.#end(code),
      fault,
    };
    this.conversations = new Conversations(surroundings, { stock: this.#stock, reviewed: () => this.#check() });
    this.#mailbox = new Mailbox({
      store,
      dialer: dialer("/api/mailbox/socket"),
      clock,
      after,
      events: {
        ready: (frame) => this.#ready(frame),
        nudges: async (nudges) => {
          for (const { about } of nudges) await this.conversations.nudged(about);
          if (nudges.some(({ about }) => about.kind === "directory")) this.refresh();
        },
        welcome: (item) => this.conversations.welcomed(item),
        stock: (stock) => this.#fill({ stock }),
        changed: () => this.#changed(),
        ended: (code) => void this.#end(code),
        fault: (error) => fault("mailbox", error),
      },
    });
  }

  /** Opens an account: what is overdue is destroyed before anything can be seen. Dials at once, waits for no answer. */
  static async open(given: SessionOptions): Promise<Session> {
    const rows = await ChangedRows.open(given.store, PORTABLE_TABLES);
    const options = { ...given, store: rows.store };
    const { account, server, store, clock, live, fetch, fault } = options;
    const [time, people, drafts, kept, after, trust, findings] = await Promise.all([
      ServerTime.load(store, clock),
      People.load(store, live),
      Drafts.load(store),
      Siblings.kept(store),
      Mailbox.last(store),
      Trust.load(store),
      Findings.load(store),
    ]);
    const now = (): number => time.now();
    const tokens = signIn(options);
    const keys = await KeyWatch.load({
      server,
      ...(fetch !== undefined && { fetch }),
      tokens,
      store,
      tenant: account.tenant.id,
      me: meOf(account),
      people,
      trust,
      findings,
      clock,
      now,
      changed: () => session.#changed(),
      fault: (error) => fault("keys", error),
    });
    // The account's own keys are the same for good
    const safety = new Safety({
      store,
      people,
      trust,
      account: () => account,
      now,
      decide: (batch, member) => session.#siblings.decide(batch, member),
      decided: () => {
        session.#siblings.decided();
        session.#safekeeping?.note();
      },
    });
    const parts = { time, people, safety, trust, drafts, rows, kept, tokens, keys, findings, after };
    const session: Session = new Session(options, parts);
    const [safekeeping] = await Promise.all([session.#loadSafekeeping(), session.conversations.load()]);
    session.#safekeeping = safekeeping;
    await session.#timers.start(async (conversation, due) => session.conversations.find(conversation)?.destroy(due));
    await session.#siblings.start(session.conversations);
    session.conversations.review();
    return session;
  }

  /** The passkeys of one's own. @throws {Refusal} unavailable */
  async passkeys(): Promise<Passkeys> {
    const { Passkeys } = await late(() => import("./recovery/passkeys.ts"));
    const { server, fetch } = this.#options;
    return new Passkeys({
      server,
      ...(fetch !== undefined && { fetch }),
      tokens: this.tokens,
      account: () => this.#account,
      keys: () => this.safekeeping.handover,
    });
  }

  get account(): AccountRecord {
    return this.#account;
  }

  get safekeeping(): Safekeeping {
    if (this.#safekeeping === null) throw new TypeError("the session is not open");
    return this.#safekeeping;
  }

  /** The server's time in ms. */
  readonly now = (): number => this.#time.now();

  /** Everybody, by name. */
  get members(): MemberView[] {
    return this.people.views().map((member) => ({ ...member, key: this.safety.stateOf(member.id) }));
  }

  get online(): boolean {
    return this.#mailbox.online;
  }

  /** Fetches anew what the server knows of tenant and members; tries again by itself. */
  refresh(): void {
    // What is being fetched may be older than what there is to hear of
    this.#isStale = this.#refreshing !== null;
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
      if (this.#isStale) this.refresh();
      this.#check();
    });
  }

  /** The network is back. */
  wake(): void {
    this.#mailbox.wake();
    this.conversations.wake();
  }

  /** Resolves when nothing is on its way in or out. @throws {Refusal} unavailable — not within `timeout` ms; the code this device was shut out with */
  settled(timeout: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (this.#account.state === "ended") finish(() => reject(new Refusal(this.#account.code ?? "forbidden")));
        else if (this.#isSettled) finish(resolve);
      };
      const cancel = this.#options.clock.after(timeout, () => finish(() => reject(new Refusal("unavailable"))));
      const finish = (settle: () => void): void => {
        cancel();
        this.#waiting.delete(check);
        this.#siblings.awaited = this.#waiting.size > 0;
        settle();
      };
      this.#waiting.add(check);
      this.#siblings.awaited = true;
      check();
    });
  }

  /** The other devices should hear what was read here, when they can: waits at most `most` ms. */
  async farewell(most: number): Promise<void> {
    if (!this.online || this.#siblings.idle) return;
    await this.#siblings.hurry();
    await this.conversations.find(this.#siblings.self)?.drained(most);
  }

  close(): void {
    this.#timers.close();
    this.keys.close();
    this.#mailbox.close();
    this.conversations.close();
    this.#siblings.close();
    void this.#safekeeping?.close();
  }

  /** Resolves when a closed session has finished what was under way. */
  async idle(): Promise<void> {
    await Promise.all([this.conversations.idle(), this.#siblings.finished(), this.#safekeeping?.close()]);
  }

  #loadSafekeeping(): Promise<Safekeeping> {
    const { server, fetch, store, clock, live, fault } = this.#options;
    return Safekeeping.load({
      server,
      ...(fetch !== undefined && { fetch }),
      store,
      rows: this.#rows,
      account: () => this.#account,
      tokens: this.tokens,
      api: this.api,
      clock,
      now: this.now,
      changed: () => live.changed(),
      fault: (error) => fault("safekeeping", error),
    });
  }

  get #isSettled(): boolean {
    const isQuiet = this.#mailbox.idle && this.#stock.idle && this.#hasRefreshed && this.#refreshing === null;
    return isQuiet && this.keys.idle && this.#siblings.idle && this.conversations.settled;
  }

  #trust(claim: Claim): boolean {
    if (!this.people.knows(claim.member)) this.refresh();
    return this.keys.trust(claim);
  }

  #changed(): void {
    this.#options.live.changed();
    this.#check();
  }

  #check(): void {
    for (const check of [...this.#waiting]) check();
  }

  async #ready({ now, stock, lastResort }: { now: number; stock: number; lastResort: boolean }): Promise<void> {
    if (await this.#time.observe(now)) await this.#timers.sweep();
    this.refresh();
    this.conversations.wake();
    this.#options.live.changed();
    await this.#fill({ stock, lastResort });
  }

  /** Beside the mailbox: a stock that cannot be filled now is filled when the mailbox is next heard of. */
  async #fill(has: { stock: number; lastResort?: boolean }): Promise<void> {
    this.#stock
      .fill(has)
      .catch((error: unknown) => this.#options.fault("key-stock", error))
      .finally(() => this.#check());
  }

  async #refresh(): Promise<void> {
    const { clock, store, fault } = this.#options;
    try {
      const [tenant] = await Promise.all([this.api.tenant(), this.people.refresh(this.api)]);
      // The directory first: whatever it names must then be in the log
      if (await this.keys.look()) await this.keys.judge(this.people.named);
      await this.#tellRekeyed();
      const own = this.people.views().find(({ id }) => id === this.#account.member.id);
      const { id, name, residency, policy } = tenant;
      const member = own === undefined ? this.#account.member : { id: own.id, name: own.name, role: own.role };
      this.#account = { ...this.#account, tenant: { id, name, residency }, member, policy };
      await saveAccount(store, this.#account);
      await this.conversations.discover();
      await this.#siblings.reached();
      await this.#describe();
      await this.safekeeping.look();
      this.#refreshFailures = 0;
      this.#hasRefreshed = true;
      this.#options.live.changed();
    } catch (error) {
      const isFinal = isRefusal(error) && REFUSALS[error.code].remedy === "give_up" && !isStoreFailure(error);
      if (isFinal) return fault("refresh", error);
      this.#refreshFailures += 1;
      const longest = Math.min(REFRESH_AGAIN.most, REFRESH_AGAIN.least * 2 ** this.#refreshFailures);
      clock.after(longest * clock.random(), () => this.refresh());
    }
  }

  async #tellRekeyed(): Promise<void> {
    const members = this.keys.changedKeys;
    if (members.length === 0) return;
    await this.conversations.rekeyed(members);
    await this.keys.told(members);
  }

  /** Tells the server once what this device is. */
  async #describe(): Promise<void> {
    const { kind, store } = this.#options;
    if (kind === undefined) return;
    const told = await store.get(DESCRIBED.table, DESCRIBED.key);
    if (told !== undefined && decodeCbor(told) === kind) return;
    await this.api.describeDevice(this.#account.device, kind);
    await store.write([{ ...DESCRIBED, value: encodeCbor(kind) }]);
  }

  async #end(code: RefusalCode): Promise<void> {
    if (this.#account.state === "ended") return;
    this.#account = { ...this.#account, state: "ended", code };
    this.close();
    const { store, live, fault } = this.#options;
    // What is not kept is found out anew when the profile is next opened
    if (FOR_GOOD.has(code)) await saveAccount(store, this.#account).catch((error: unknown) => fault("end", error));
    live.changed();
    this.#check();
  }
}

function signIn({ account, door, clock, token }: SessionOptions): Tokens {
  const tokens = createTokens({
    door,
    tenant: account.tenant.id,
    device: account.device,
    clock,
    sign: (payload) => sign(account.signatureKeys.privateKey, payload),
  });
  if (token !== undefined) tokens.adopt(token);
  return tokens;
}
