// Owns what it takes to destroy a text in time: its line, its place in the list, its unread mark, and its waiting intent.

import type { Ledger } from "./ledger.ts";
import { decodeRecord, type IntentRecord, intentKey, type LastLine, type MessageRecord } from "./records.ts";
import type { Due } from "./timers.ts";

/** How many lines are looked back for one that can stand in the list again. */
const LOOK_BACK = 20;

/** Destroys rows of one conversation with their timers, in one write. Only within a turn of its ledger. */
export async function destroy(ledger: Ledger, due: readonly Due[]): Promise<void> {
  const { surroundings, outbox } = ledger;
  const draft = ledger.draft();
  const keys = new Set(due.map(({ key }) => key));
  let unread = 0;
  let last: LastLine | null | undefined;
  for (const item of due) {
    surroundings.timers.forget(draft.batch, item);
    if (item.table === "intents") {
      const intent = outbox.all.find((candidate) => intentKey(candidate) === item.key);
      if (intent !== undefined) silence(intent);
      continue;
    }
    const row = await surroundings.store.get("messages", item.key);
    if (row === undefined) continue;
    const message = decodeRecord<MessageRecord>(row);
    draft.batch.delete("messages", item.key);
    if (message.from !== surroundings.context.me.member && message.seq > draft.record.readTo) unread += 1;
    if (message.key === draft.record.last?.key) last = await newest(ledger, keys);
  }
  draft.set({ unread: Math.max(0, draft.record.unread - unread), ...(last !== undefined && { last }) });
  await ledger.save(draft);

  /** The bytes stay to be sent again until the log decides; nobody here can read them. */
  function silence(intent: IntentRecord): void {
    if (intent.sealed === null || intent.refusal !== null) {
      draft.batch.delete("intents", intentKey(intent));
      draft.afterwards(() => outbox.delete(intent));
      return;
    }
    const silent: IntentRecord = { ...intent, wish: null };
    draft.intend(silent);
    draft.afterwards(() => outbox.put(silent));
  }
}

/** The newest text that is not about to be destroyed. */
async function newest({ id, surroundings }: Ledger, leaving: ReadonlySet<string>): Promise<LastLine | null> {
  let before: string | undefined;
  for (;;) {
    const rows = await surroundings.store.scan("messages", {
      prefix: `${id}/`,
      limit: LOOK_BACK,
      reverse: true,
      ...(before !== undefined && { before }),
    });
    for (const { key, value } of rows) {
      const { key: messageKey, from, at, body } = decodeRecord<MessageRecord>(value);
      if (!leaving.has(key) && body.kind === "text") return { key: messageKey, from, at, text: body.text };
    }
    if (rows.length < LOOK_BACK) return null;
    before = rows.at(-1)?.key;
  }
}
