// Owns what leaves a conversation: seals intents for the live epoch, sends them, several in flight, again after every reconnect with the
// same id and bytes until the log or a refusal decides. What a change of members takes is for changes.

import { type Content, encodeContent } from "../../schemas/content.ts";
import type { RefusedFrame } from "../../schemas/frames.ts";
import { REFUSALS, type RefusalCode } from "../../schemas/refusal.ts";
import type { Changes } from "./changes.ts";
import type { Draft } from "./draft.ts";
import { dropPending } from "./group/commit.ts";
import { facts, seal } from "./group/group.ts";
import { OUT_OF_ORDER } from "./group/limits.ts";
import { holdOf } from "./hold.ts";
import { isWayBack } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import type { Line } from "./line.ts";
import { type Bytes, type IntentRecord, overlaid, type Settings, type Wish } from "./records.ts";

/** How long to wait after a refusal that may pass by itself, in ms, unless the server says. */
const RETRY_AFTER = 1_000;
/** A commit the server did not want is made anew this often before it fails. */
const COMMIT_ATTEMPTS = 3;

type Message = IntentRecord & { readonly wish: Extract<Wish, { kind: "text" | "settings" | "marks" }> | null };

type CompleteWish = Extract<Wish, { kind: "text" | "marks" }> | ({ readonly kind: "settings" } & Settings);

/** Sends what a ledger's outbox holds. */
export class Departures {
  readonly #ledger: Ledger;
  readonly #line: Line;
  readonly #changes: Changes;
  /** Told when what was put off may be tried again. */
  readonly #again: () => void;
  /** What left on the present socket, by the order of its intent: what was sealed anew since then has not. */
  readonly #sent = new Map<number, Uint8Array>();
  /** Counts sockets: what was begun for one is not finished on the next, where older messages have to go first. */
  #round = 0;
  readonly #refusedCommits = new Map<number, number>();
  /** Where the log stood when an intent was last refused as being of another epoch, by its order. */
  readonly #stale = new Map<number, number>();
  /** Nobody may speak in this epoch any more: a removal has to be committed first. */
  #held: number | null = null;
  /** Calls off the wait after a refusal that may pass; null when there is none. */
  #wait: (() => void) | null = null;

  constructor(ledger: Ledger, { line, changes, again }: { line: Line; changes: Changes; again: () => void }) {
    this.#ledger = ledger;
    this.#line = line;
    this.#changes = changes;
    this.#again = again;
  }

  /** A new socket: nothing has been sent on it. */
  reset(): void {
    this.#round += 1;
    this.#sent.clear();
    this.#stale.clear();
    this.#held = null;
    this.#wait?.();
    this.#wait = null;
  }

  /** Sends what can be sent now, once the line has caught up with its log. */
  async pump(): Promise<void> {
    const { record } = this.#ledger;
    if (record.state === "ended" || record.state === "broken" || this.#wait !== null || !this.#line.live) return;
    if (record.lost || this.#ledger.group?.live == null) {
      return this.#sendChange(this.#ledger.outbox.open.find(({ wish }) => isWayBack(wish)));
    }
    // Who was not told the settings yet cannot know what to leave as it is
    const open = this.#ledger.outbox.open.filter(({ wish }) => wish?.kind !== "settings" || record.introduced);
    const end = open.findIndex((intent) => !isMessage(intent));
    const messages = (end === -1 ? open : open.slice(0, end)).filter(isMessage);
    if (messages.length === 0 || (await this.#sendMessages(messages))) return this.#sendChange(open[end]);
  }

  /** The server said no to one of ours. */
  async refused({ id, code, detail }: RefusedFrame): Promise<void> {
    const intent = id === null ? undefined : this.#ledger.outbox.find(id);
    if (intent === undefined) return;
    this.#sent.delete(intent.order);
    if (code === "removal_pending") this.#held = this.#epoch();
    else if (code === "commit_forbidden") await this.#remake(intent);
    else if (REFUSALS[code].remedy === "catch_up") await this.#catchUp(intent, Number(detail.epoch ?? 0));
    else if (intent.wish?.kind === "reset" && code === "rate_limited") await this.fail(intent, code);
    else if (REFUSALS[code].remedy === "retry") this.#pause(Number(detail.retryAfter ?? RETRY_AFTER));
    else await this.fail(intent, code);
  }

  /** Gives an intent up for good: a text stays to be retried or discarded, anything else goes. */
  async fail(intent: IntentRecord, code: RefusalCode): Promise<void> {
    const draft = this.#ledger.draft();
    this.#unseal(draft, intent);
    const failed: IntentRecord = { ...intent, sealed: null, refusal: code };
    if (intent.wish?.kind === "text") {
      draft.intend(failed);
      draft.afterwards(() => this.#ledger.outbox.put(failed));
    } else draft.afterwards(() => this.#ledger.outbox.delete(intent));
    await this.#ledger.save(draft);
  }

  /** Sends messages in their order, sealing as many as may be in flight; true when all have left. */
  async #sendMessages(messages: readonly Message[]): Promise<boolean> {
    const { group } = this.#ledger;
    if (group?.live == null || group.pending !== null || this.#held === group.live.number) return false;
    if (holdOf(this.#ledger) !== null) return false;
    const sealed = messages.filter((message) => message.sealed !== null);
    for (const message of sealed) if (!this.#send(message)) return false;
    // Sealed by the half window, so that many share a write
    const room = sealed.length <= OUT_OF_ORDER / 2 ? OUT_OF_ORDER : 0;
    const fresh = messages.slice(sealed.length, room);
    if (fresh.length > 0 && facts(group)?.updateDue) {
      await this.#changes.refresh();
      await this.pump();
      return false;
    }
    if (fresh.length > 0 && !(await this.#sealAll(fresh))) return false;
    return sealed.length + fresh.length === messages.length;
  }

  /** Seals messages in one write and sends them; false when not all have left. */
  async #sealAll(messages: readonly Message[]): Promise<boolean> {
    const round = this.#round;
    const draft = this.#ledger.draft();
    const made: IntentRecord[] = [];
    for (const message of messages) made.push(await this.#seal(draft, message));
    await this.#ledger.save(draft);
    for (const intent of made) this.#ledger.outbox.put(intent);
    // What does not fit into the socket now is not overtaken by something smaller
    return round === this.#round && made.every((intent) => this.#send(intent));
  }

  async #seal(draft: Draft, intent: Message): Promise<IntentRecord> {
    const { record, surroundings } = this.#ledger;
    const { keys } = surroundings;
    const { composedAt } = intent;
    const wish = this.#complete(intent);
    if (draft.group === null || wish === null) throw new Error("nothing to seal");
    const content: Content = {
      ...saidBy(wish),
      sentAt: composedAt,
      seen: { seq: record.cursor, hash: record.hash },
      keys: { size: keys.head.size, root: keys.head.root as Bytes },
    };
    const { bytes, ...step } = await seal(draft.group, encodeContent(content));
    draft.step(step);
    const sealed: IntentRecord = {
      ...intent,
      wish,
      sealed: {
        generation: step.group.generation,
        epoch: step.group.live?.number ?? 0,
        at: this.#ledger.surroundings.time.now(),
        bytes: bytes as Bytes,
        expiresIn: this.#lifeOf(wish),
        commit: null,
      },
    };
    draft.intend(sealed);
    draft.limit(sealed);
    return sealed;
  }

  /** How long the server is asked to keep a message; null for as long as it does unasked. */
  #lifeOf(wish: CompleteWish): number | null {
    if (wish.kind !== "marks") return wish.kind === "text" ? wish.expiresIn : null;
    // A device that is away for a while is to find what the others told it
    const { defaultExpiry, maxExpiry } = this.#ledger.surroundings.policy();
    return defaultExpiry === null ? null : maxExpiry;
  }

  /** Settings as they will be with all that was wished before. */
  #complete({ order, wish }: Message): CompleteWish | null {
    if (wish?.kind !== "settings") return wish;
    const { record, outbox } = this.#ledger;
    const before = outbox.open.filter((intent) => intent.order < order);
    return { kind: "settings", ...overlaid(record, [...before.map((intent) => intent.wish), wish]) };
  }

  async #sendChange(intent: IntentRecord | undefined): Promise<void> {
    if (intent === undefined) return;
    const round = this.#round;
    const made = intent.sealed === null ? await this.#changes.make(intent) : intent;
    if (made !== undefined && round === this.#round) this.#send(made);
    // There was nothing to commit any more: what waited behind it is next
    else if (!this.#ledger.outbox.all.some(({ order }) => order === intent.order)) await this.pump();
  }

  /** Hands an intent's bytes to the socket, once per socket. */
  #send({ order, id, sealed }: IntentRecord): boolean {
    if (sealed === null) return false;
    const { bytes, commit, expiresIn } = sealed;
    const earlier = this.#sent.get(order);
    // A message sealed anew leaves in its turn; a commit made anew waits for what the server says to the one before it
    if (earlier === bytes || (earlier !== undefined && commit !== null)) return true;
    const left = this.#line.send(
      commit === null
        ? { type: "send", id, bytes, ...(expiresIn !== null && { expiresIn }) }
        : {
            type: "commit",
            id,
            bytes,
            welcomes: commit.welcomes.map((welcome) => ({ devices: [...welcome.devices], bytes: welcome.bytes })),
            groupInfo: commit.groupInfo,
          },
    );
    if (left) this.#sent.set(order, bytes);
    return left;
  }

  /** The epoch has moved on: what ended it is in the log already, and taking that in frees the intent to be sealed again. */
  async #catchUp(intent: IntentRecord, epoch: number): Promise<void> {
    if (isWayBack(intent.wish)) return this.fail(intent, "stale_epoch");
    const { cursor } = this.#ledger.record;
    const isHidden = this.#stale.get(intent.order) === cursor && epoch > (this.#epoch() ?? epoch);
    this.#stale.set(intent.order, cursor);
    // It was sent again only once the log had been taken in to its end, and what ended the epoch is not there
    if (isHidden) return this.#lose();
    this.#line.pull(cursor);
  }

  /** The log does not lead to the epoch that the server says there is: the only way there is from outside. */
  async #lose(): Promise<void> {
    const draft = this.#ledger.draft();
    draft.set({ lost: true });
    await this.#ledger.save(draft);
  }

  async #remake(intent: IntentRecord): Promise<void> {
    const attempts = (this.#refusedCommits.get(intent.order) ?? 0) + 1;
    this.#refusedCommits.set(intent.order, attempts);
    if (attempts >= COMMIT_ATTEMPTS || intent.wish?.kind === "rejoin") return this.fail(intent, "commit_forbidden");
    // Whoever could not be added may have another device by now
    if (intent.wish?.kind === "reset" && attempts > 1) this.#changes.beAlone(intent);
    else this.#changes.forget(intent);
    const draft = this.#ledger.draft();
    this.#unseal(draft, intent);
    const open: IntentRecord = { ...intent, sealed: null };
    draft.intend(open);
    draft.afterwards(() => this.#ledger.outbox.put(open));
    await this.#ledger.save(draft);
    this.#pause(RETRY_AFTER);
  }

  /** The server's word is that this was not accepted: it goes with its timer, a commit with the epoch it would have led to. */
  #unseal(draft: Draft, intent: IntentRecord): void {
    draft.retire(intent);
    if (intent.sealed?.commit != null && draft.group !== null) draft.step(dropPending(draft.group));
  }

  #pause(delay: number): void {
    const { clock } = this.#ledger.surroundings;
    this.#wait?.();
    this.#wait = clock.after(Math.max(RETRY_AFTER / 2, delay) * (1 + clock.random() / 2), () => {
      this.#wait = null;
      this.#again();
    });
  }

  #epoch(): number | null {
    return this.#ledger.group?.live?.number ?? null;
  }
}

/** A null wish is a text whose timer ran out: its bytes still go out, since nobody here can know that they have not. */
function isMessage(intent: IntentRecord): intent is Message {
  const { wish } = intent;
  return wish === null || wish.kind === "text" || wish.kind === "settings" || wish.kind === "marks";
}

/** What a wish says to those who read it. */
function saidBy(wish: CompleteWish) {
  if (wish.kind === "text") return { type: wish.kind, text: wish.text, expiresIn: wish.expiresIn };
  if (wish.kind === "marks") {
    const { kind, marks, comparisons, asks } = wish;
    return { type: kind, marks: [...marks], comparisons: [...comparisons], asks };
  }
  return { type: wish.kind, title: wish.title, expiresIn: wish.expiresIn };
}
