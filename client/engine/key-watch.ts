// Owns what this device concludes from the tenant's key log: who may be on a leaf, whose key has changed, and who plays tricks with keys. Reads
// the log again whenever something it does not explain turns up. Knows no conversation and decides nothing about messages.

import { equalBytes, toHex } from "../../schemas/bytes.ts";
import type { DeviceId, MemberId } from "../../schemas/ids.ts";
import type { Clock } from "./clock.ts";
import type { Findings, Found } from "./findings.ts";
import type { Claim, Me } from "./group/state.ts";
import { type Conclusion, KeyLog, type KeyLogOptions, type KeyNews, type LogHead } from "./key-log.ts";
import type { People } from "./people.ts";
import { Batch } from "./records.ts";
import type { Trust } from "./trust.ts";
import type { KeyAuditView } from "./view.ts";

/** A log that could not be read, or does not add up, is read again after a pause that doubles between these, in ms. */
const READ_AGAIN = { least: 500, most: 60_000 };
/** Heads of others that wait to be compared: an honest tenant has far fewer at a time. */
const MOST_HEARD = 64;
const CHANGED = "keychange/";

export interface KeyWatchOptions extends Omit<KeyLogOptions, "conclude"> {
  readonly me: Me;
  readonly people: People;
  readonly trust: Trust;
  readonly findings: Findings;
  readonly clock: Clock;
  /** The server's time in ms. */
  readonly now: () => number;
  /** What people see changed. */
  readonly changed: () => void;
  readonly fault: (error: unknown) => void;
}

/** The keys of everybody in the tenant, as far as they can be believed. */
export class KeyWatch {
  readonly #options: KeyWatchOptions;
  readonly #changedKeys: Set<MemberId>;
  /** Who claimed to be somebody and was not believed, until the log has been asked again. */
  readonly #suspects = new Map<DeviceId, Claim>();
  readonly #heard = new Map<string, { readonly head: LogHead; readonly from: MemberId }>();
  readonly #pausing = new Set<() => void>();
  #log: KeyLog | null = null;
  #reading: Promise<boolean> | null = null;
  #comparing = false;
  #closed = false;

  private constructor(options: KeyWatchOptions, changedKeys: Set<MemberId>) {
    this.#options = options;
    this.#changedKeys = changedKeys;
  }

  /** Opens it with all that was read before. */
  static async load(options: KeyWatchOptions): Promise<KeyWatch> {
    const changed = new Set<MemberId>();
    const watch = new KeyWatch(options, changed);
    const [log, rows] = await Promise.all([
      KeyLog.load({ ...options, conclude: (news, keyOf) => watch.#conclude(news, keyOf) }),
      options.store.scan("meta", { prefix: CHANGED }),
    ]);
    for (const { key } of rows) changed.add(key.slice(CHANGED.length) as MemberId);
    watch.#log = log;
    return watch;
  }

  /** The head of the log as far as it was read, to be carried inside encrypted messages. */
  get head(): LogHead {
    return this.#theLog.head;
  }

  /** Nothing is being read or compared. */
  get idle(): boolean {
    return this.#reading === null && !this.#comparing;
  }

  /** Members whose key changed and whose conversations have not been told so. */
  get changedKeys(): readonly MemberId[] {
    return [...this.#changedKeys];
  }

  /**
   * Whether the log has, or ever had, this device under these keys, certified by its member. That it is revoked by now makes no difference:
   * the commit that let it in may be older than that, and whoever reads it late must follow where the others went.
   */
  readonly trust = (claim: Claim): boolean => {
    const { me } = this.#options;
    if (claim.device === me.device) return claim.member === me.member && isSame(claim, me, me.signatureKey.publicKey);
    const logged = this.#theLog.device(claim.device);
    const isKnown = logged?.member === claim.member && isSame(claim, logged, logged.signatureKey);
    if (!isKnown) this.#suspects.set(claim.device, claim);
    return isKnown;
  };

  /** Whether the log has a device of this member that is in use. */
  isInUse({ member, device }: Pick<Claim, "member" | "device">): boolean {
    const logged = this.#theLog.device(device);
    return logged?.member === member && !logged.revoked;
  }

  /** Whether the log says of a device that it is out: revoked, or its member removed or with another key since. */
  isOut(device: DeviceId): boolean {
    return this.#theLog.device(device)?.revoked ?? false;
  }

  /** Those among `members` whose key a person had verified and that has changed since, unseen. */
  blocking(members: readonly MemberId[]): MemberId[] {
    return this.#options.trust.blocking(members);
  }

  /**
   * Reads the log to its end as of now, and tells of whoever it still does not know. False: what the server shows does not go on from what it
   * showed before, and nothing of it was taken in. @throws {Refusal} unavailable, and whatever ends a device's right to ask
   */
  async look(): Promise<boolean> {
    // What is being read may be older than what there is to find out
    await this.#reading?.catch(() => undefined);
    this.#reading ??= this.#look().finally(() => {
      this.#reading = null;
      this.#options.changed();
    });
    return this.#reading;
  }

  /** As {@link look}, again and again until it worked; false only when the engine is closed before. */
  async looked(): Promise<boolean> {
    for (let pause = READ_AGAIN.least; !this.#closed; pause = Math.min(READ_AGAIN.most, pause * 2)) {
      if (await this.#tryLook()) return true;
      await this.#pause(pause * (1 + this.#options.clock.random()));
    }
    return false;
  }

  /** Another member says it has seen this head: compares when there is time. */
  heard(head: LogHead, from: MemberId): void {
    if (this.#theLog.agrees(head) || this.#heard.size >= MOST_HEARD) return;
    this.#heard.set(`${head.size} ${toHex(head.root)}`, { head, from });
    void this.#compare();
  }

  /** Something else was found out about keys, elsewhere than in the log. */
  report(found: Found): Promise<void> {
    return this.#tell([found]);
  }

  /** Holds against the log what the directory says. Only after both were read, the log last. */
  async judge(named: Iterable<readonly [MemberId, Uint8Array]>): Promise<void> {
    const swapped = [...named].filter(([member, key]) => !this.#theLog.hasHad(member, key));
    this.#options.people.contradict(swapped.map(([member]) => member));
    await this.#tell(swapped.map(([member]): Found => ({ kind: "swapped", member })));
  }

  /** The conversations of these members have been told that their keys changed. */
  async told(members: readonly MemberId[]): Promise<void> {
    const { store } = this.#options;
    await store.write(members.map((member) => ({ table: "meta", key: CHANGED + member, value: null })));
    for (const member of members) this.#changedKeys.delete(member);
  }

  /** Replays the log from nothing. @throws {Refusal} as {@link look} */
  async audit(): Promise<KeyAuditView> {
    // Few ever ask for it
    const { auditKeys } = await import("./key-audit.ts");
    const { server, fetch, tokens, tenant } = this.#options;
    return auditKeys({ server, ...(fetch !== undefined && { fetch }), tokens, tenant, own: this.head });
  }

  /** A person has taken note of a finding. */
  async note(finding: string): Promise<void> {
    const { findings, store, changed } = this.#options;
    const batch = new Batch();
    findings.note(batch, finding);
    await store.write(batch.writes);
    findings.settle();
    changed();
  }

  close(): void {
    this.#closed = true;
    for (const end of [...this.#pausing]) end();
  }

  get #theLog(): KeyLog {
    if (this.#log === null) throw new TypeError("the key log is not loaded");
    return this.#log;
  }

  async #look(): Promise<boolean> {
    const suspects = [...this.#suspects];
    const { kind } = await this.#theLog.update();
    if (kind !== "current") {
      await this.#tell([{ kind }]);
      return false;
    }
    const ghosts: Found[] = [];
    for (const [device, claim] of suspects) {
      this.#suspects.delete(device);
      if (this.trust(claim)) continue;
      this.#suspects.delete(device);
      const { member, identityKey } = claim;
      ghosts.push({ kind: this.#theLog.hasHad(member, identityKey) ? "ghost" : "swapped", member, device });
    }
    await this.#tell(ghosts);
    return true;
  }

  async #tryLook(): Promise<boolean> {
    try {
      return await this.look();
    } catch {
      return false;
    }
  }

  async #compare(): Promise<void> {
    if (this.#comparing) return;
    this.#comparing = true;
    try {
      for (const [key, { head, from }] of this.#heard) {
        if (head.size > this.head.size && !(await this.looked())) return;
        const { kind } = await this.#theLog.compare(head);
        this.#heard.delete(key);
        if (kind !== "current") await this.#tell([{ kind: "forked", member: from }]);
      }
    } catch (error) {
      this.#options.fault(error);
      if (!this.#closed) this.#options.clock.after(READ_AGAIN.most, () => void this.#compare());
    } finally {
      this.#comparing = false;
      this.#options.changed();
    }
  }

  #conclude(news: readonly KeyNews[], keyOf: (member: MemberId) => Uint8Array | undefined): Conclusion {
    const { me, people, trust, findings, now } = this.#options;
    const batch = new Batch();
    const changed: MemberId[] = [];
    for (const one of news) {
      if (one.kind === "uncertified") {
        findings.add(batch, { kind: "ghost", member: one.member, device: one.device }, now());
      } else if (one.kind === "unknown") {
        findings.add(batch, { kind: "unreadable" }, now());
      } else if (one.kind === "member" || one.kind === "rekeyed") {
        const { member } = one;
        const identityKey = keyOf(member);
        if (identityKey === undefined) continue;
        if (member === me.member) {
          if (!equalBytes(identityKey, me.identityKey)) findings.add(batch, { kind: "swapped", member }, now());
          continue;
        }
        // A history that came from another device brings the key that one knew
        const brought = people.key(member);
        if (brought !== null) trust.see(batch, { member, identityKey: brought, now: now() });
        people.pin(member, identityKey);
        if (trust.see(batch, { member, identityKey, now: now() }) !== "changed") continue;
        changed.push(member);
        batch.add({ table: "meta", key: CHANGED + member, value: new Uint8Array() });
      }
    }
    const settlePeople = people.save(batch);
    return {
      writes: batch.writes,
      settle: () => {
        settlePeople();
        trust.settle();
        findings.settle();
        for (const member of changed) this.#changedKeys.add(member);
      },
    };
  }

  async #tell(found: readonly Found[]): Promise<void> {
    const { findings, store, now } = this.#options;
    const batch = new Batch();
    for (const one of found) findings.add(batch, one, now());
    if (batch.empty) return;
    await store.write(batch.writes);
    findings.settle();
  }

  #pause(delay: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#pausing.delete(end);
        resolve();
      };
      const cancel = this.#options.clock.after(delay, end);
      this.#pausing.add(end);
    });
  }
}

function isSame(claim: Claim, known: { readonly identityKey: Uint8Array }, signatureKey: Uint8Array): boolean {
  return equalBytes(claim.identityKey, known.identityKey) && equalBytes(claim.signatureKey, signatureKey);
}
