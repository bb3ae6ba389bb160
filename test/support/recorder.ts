// Watches engines in conversations and writes down what each of them sends and sees, in the order one observer sees it, for the
// checker. Nothing is judged here.

import { createHash } from "node:crypto";
import type { Engine, MessageView } from "../../client/engine/view.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import type { Observation } from "./checker.ts";

const PAGE = 200;
/** Lines looked at for news; more only when all of them are new. */
const GLANCE = 25;

/** What a content is told apart by. */
export function digestOfText(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/** All lines of a timeline, oldest first. */
export async function wholeTimeline(engine: Engine, conversation: ConversationId): Promise<MessageView[]> {
  const lines: MessageView[][] = [];
  for (let page = await engine.timeline(conversation, { limit: PAGE }); page.length > 0; ) {
    lines.push([...page]);
    const before = page[0]?.key;
    if (before === undefined || page.length < PAGE) break;
    page = await engine.timeline(conversation, { limit: PAGE, before });
  }
  return lines.reverse().flat();
}

/** One engine in one conversation. */
export class Recorder {
  readonly device: string;
  readonly engine: Engine;
  readonly conversation: ConversationId;
  /** Own messages that have no end yet, by key. */
  readonly waiting = new Set<string>();
  /** Own messages so far: sent, and stored by the server. */
  sent = 0;
  stored = 0;
  /** Own messages that came back before {@link send} knew their key, and where. */
  readonly #early = new Map<string, number>();
  readonly #history: Observation[];
  readonly #off: () => void;
  #lastSeq = 0;
  #looking: Promise<void> | undefined;
  #again = false;

  /** Begins to write to `history`, which may be shared by all recorders of the conversation. */
  constructor(input: { device: string; engine: Engine; conversation: ConversationId; history: Observation[] }) {
    this.device = input.device;
    this.engine = input.engine;
    this.conversation = input.conversation;
    this.#history = input.history;
    this.#off = input.engine.on((event) => {
      if (event.type === "timeline" && event.conversation === input.conversation) void this.look();
    });
  }

  /** Sends a text and writes down that it was sent. The send is observed before the engine hears of it, so its end never comes first. */
  async send(text: string): Promise<string> {
    const invoked = { type: "invoke", device: this.device, mid: "", digest: digestOfText(text) } as const;
    const at = this.#history.push(invoked) - 1;
    this.sent += 1;
    const mid = await this.engine.send(this.conversation, text);
    this.#history[at] = { ...invoked, mid };
    const seq = this.#early.get(mid);
    if (seq === undefined) this.waiting.add(mid);
    else this.#stored(mid, seq);
    return mid;
  }

  /** Writes down every line that is new since the last look. */
  look(): Promise<void> {
    this.#again = this.#looking !== undefined;
    this.#looking ??= this.#read().finally(() => {
      this.#looking = undefined;
      if (this.#again) void this.look();
    });
    return this.#looking;
  }

  async #read(): Promise<void> {
    const { device } = this;
    const lines = await this.#newLines();
    for (const { key, seq, body, mine } of lines) {
      if (seq === null) continue;
      this.#lastSeq = seq;
      if (body.kind !== "text") continue;
      if (mine && this.waiting.delete(key)) this.#stored(key, seq);
      else if (mine) this.#early.set(key, seq);
      this.#history.push({ type: "recv", device, seq, mid: key, digest: digestOfText(body.text) });
    }
  }

  #stored(mid: string, seq: number): void {
    this.#history.push({ type: "ok", device: this.device, mid, seq });
    this.stored += 1;
  }

  /** Lines with a place in the log after the last one seen, oldest first; failures are written down at once. */
  async #newLines(): Promise<MessageView[]> {
    const found: MessageView[][] = [];
    let before: string | undefined;
    for (;;) {
      const page = await this.engine.timeline(this.conversation, {
        limit: GLANCE,
        ...(before === undefined ? {} : { before }),
      });
      found.push(page.filter(({ seq }) => seq !== null && seq > this.#lastSeq));
      for (const { key, state, refusal } of page) {
        if (state === "failed" && this.waiting.delete(key)) {
          this.#history.push({ type: "fail", device: this.device, mid: key, code: refusal ?? "internal" });
        }
      }
      const [oldest] = page;
      if (oldest === undefined || page.length < GLANCE || (oldest.seq !== null && oldest.seq <= this.#lastSeq)) break;
      before = oldest.key;
    }
    return found.reverse().flat();
  }

  /** Takes a last look and stops watching. */
  async stop(): Promise<void> {
    const unwatch = this.#off;
    unwatch();
    await this.look();
    await this.#looking;
  }
}
