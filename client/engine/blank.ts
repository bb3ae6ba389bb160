// What is kept of a conversation of which nothing is known yet but that there is one.

import { GENESIS } from "../../schemas/chain.ts";
import { UNMARKED } from "./marks.ts";
import type { ConversationRecord } from "./records.ts";

/** A record before anything of the log is taken in. */
export function blankRecord(known: Pick<ConversationRecord, "id" | "kind" | "activeAt">): ConversationRecord {
  return {
    createdBy: null,
    members: [],
    title: null,
    expiresIn: null,
    introduced: false,
    founded: false,
    state: "joining",
    generation: null,
    cursor: 0,
    hash: GENESIS,
    heads: [],
    known: 0,
    delivered: 0,
    readTo: 0,
    unread: 0,
    ...UNMARKED,
    last: null,
    lost: false,
    outdated: false,
    fault: null,
    ...known,
  };
}
