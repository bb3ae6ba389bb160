// Judges what clients of one conversation saw against the log the server ended with: a pure function over a recorded history, with
// the anomaly classes of Jepsen's analyses of ordered logs. It talks to nobody.

/** One observation. The order of the array is the order in which one observer saw them. `mid` names a message, `digest` its content. */
export type Observation =
  | { readonly type: "invoke"; readonly device: string; readonly mid: string; readonly digest: string }
  | { readonly type: "ok"; readonly device: string; readonly mid: string; readonly seq: number }
  | { readonly type: "fail"; readonly device: string; readonly mid: string; readonly code: string }
  | {
      readonly type: "recv";
      readonly device: string;
      readonly seq: number;
      readonly mid: string;
      readonly digest: string;
    }
  /** The device says that it goes on after `to` without having seen what is before. */
  | { readonly type: "sync"; readonly device: string; readonly to: number }
  /** The device is in, from what comes after `seq`: at first, or again. */
  | { readonly type: "joined"; readonly device: string; readonly seq: number }
  /** The device's removal was acknowledged at `seq`. */
  | { readonly type: "removed"; readonly device: string; readonly seq: number };

/** One row of the final log. A row that is no message (a commit, say) has `mid` null; `commits` is the epoch a commit ended. */
export interface Row {
  readonly seq: number;
  readonly mid: string | null;
  readonly digest: string | null;
  readonly commits?: number;
}

export type AnomalyKind =
  | "lost"
  | "phantom"
  | "duplicate"
  | "inconsistent"
  | "hole"
  | "skip"
  | "disagreement"
  | "real_time"
  | "session"
  | "unresolved"
  | "membership"
  | "absent"
  | "epoch";

export interface Anomaly {
  readonly kind: AnomalyKind;
  readonly what: string;
}

type Observed<Type extends Observation["type"]> = Extract<Observation, { type: Type }>;

function only<Type extends Observation["type"]>(history: readonly Observation[], type: Type): Observed<Type>[] {
  return history.filter((one): one is Observed<Type> => one.type === type);
}

function grouped<Item>(items: readonly Item[], key: (item: Item) => string | number): Map<string | number, Item[]> {
  return Map.groupBy(items, key);
}

/** Everything a check needs, computed once. */
interface Evidence {
  readonly history: readonly Observation[];
  readonly log: readonly Row[];
  readonly seqOf: ReadonlyMap<string, number>;
  readonly rowOf: ReadonlyMap<number, Row>;
}

type Check = (evidence: Evidence) => Iterable<string>;

/** An acknowledged message is in the log, where the acknowledgement says. */
const lost: Check = function* ({ history, rowOf }) {
  for (const { mid, seq } of only(history, "ok")) {
    if (rowOf.get(seq)?.mid !== mid) yield `${mid} was acknowledged at ${seq} and is not there`;
  }
};

/** Nobody sees what the log does not hold or what was refused. */
const phantom: Check = function* ({ history, seqOf, rowOf }) {
  for (const { device, mid, seq } of only(history, "recv")) {
    if (!rowOf.has(seq) || !seqOf.has(mid)) yield `${device} received ${mid} at ${seq}, which was never stored`;
  }
  for (const { mid } of only(history, "fail")) {
    if (seqOf.has(mid)) yield `${mid} was refused and stored all the same`;
  }
};

/** A message is in the log once and reaches a device once. */
const duplicate: Check = function* ({ history, log }) {
  for (const [mid, rows] of grouped(log, ({ mid, seq }) => mid ?? seq)) {
    if (rows.length > 1) yield `${mid} is stored at ${rows.map(({ seq }) => seq).join(" and ")}`;
  }
  for (const [device, received] of grouped(only(history, "recv"), ({ device }) => device)) {
    const seen = new Set<string>();
    for (const { mid } of received) {
      if (seen.has(mid)) yield `${device} received ${mid} twice`;
      seen.add(mid);
    }
  }
};

/** One seq means one message with one content, for everybody. */
const inconsistent: Check = function* ({ history, rowOf, log }) {
  const sent = new Map(only(history, "invoke").map(({ mid, digest }) => [mid, digest]));
  for (const { device, seq, mid, digest } of only(history, "recv")) {
    const row = rowOf.get(seq);
    if (row !== undefined && row.mid !== mid) yield `${device} received ${mid} at ${seq}, where ${row.mid} is stored`;
    if (sent.has(mid) && sent.get(mid) !== digest) yield `${device} received other content than was sent as ${mid}`;
  }
  for (const { mid, digest } of log) {
    if (mid !== null && digest !== null && sent.has(mid) && sent.get(mid) !== digest) yield `${mid} was stored altered`;
  }
};

/** The log counts 1, 2, 3 … without a gap. */
const hole: Check = function* ({ log }) {
  const seqs = log.map(({ seq }) => seq).sort((a, b) => a - b);
  for (const [index, seq] of seqs.entries()) {
    if (seq !== index + 1) return yield `seq ${index + 1} is missing, ${seq} is there`;
  }
};

/** A device receives messages in order without leaving one out, from wherever it began. */
const skip: Check = function* ({ history, log }) {
  const messages = log.filter(({ mid }) => mid !== null).sort((a, b) => a.seq - b.seq);
  const place = new Map(messages.map(({ seq }, index) => [seq, index]));
  const last = new Map<string, number>();
  for (const one of history) {
    const from = one.type === "sync" ? one.to : one.type === "joined" ? one.seq : undefined;
    if (from !== undefined)
      last.set(
        one.device,
        messages.findLastIndex(({ seq }) => seq <= from),
      );
    if (one.type !== "recv") continue;
    const before = last.get(one.device);
    const at = place.get(one.seq);
    if (at === undefined) continue;
    if (before !== undefined && at !== before + 1) {
      yield `${one.device} received ${one.seq} after ${messages[before]?.seq ?? "nothing"}`;
    }
    last.set(one.device, at);
  }
};

/** Any two devices that received the same two messages received them in the same order. */
const disagreement: Check = function* ({ history }) {
  const orders = [...grouped(only(history, "recv"), ({ device }) => device)];
  for (const [index, [device, received]] of orders.entries()) {
    const position = new Map(received.map(({ mid }, at) => [mid, at]));
    for (const [other, theirs] of orders.slice(index + 1)) {
      const places = theirs.flatMap(({ mid }) => position.get(mid) ?? []);
      if (places.some((at, index) => index > 0 && at < (places[index - 1] ?? 0))) {
        yield `${device} and ${other} disagree about the order`;
      }
    }
  }
};

/** What was sent after something else had been acknowledged comes after it. */
const realTime: Check = function* ({ history, seqOf }) {
  let acknowledged = 0;
  for (const one of history) {
    if (one.type === "ok") acknowledged = Math.max(acknowledged, one.seq);
    if (one.type !== "invoke") continue;
    const seq = seqOf.get(one.mid);
    if (seq !== undefined && seq <= acknowledged)
      yield `${one.mid} is at ${seq}, before ${acknowledged} that preceded it`;
  }
};

/** A device's messages keep the order in which it sent them. */
const session: Check = function* ({ history, seqOf }) {
  const last = new Map<string, number>();
  for (const { device, mid } of only(history, "invoke")) {
    const seq = seqOf.get(mid);
    if (seq === undefined) continue;
    if (seq < (last.get(device) ?? 0))
      yield `${device} sent ${mid} after what is at ${last.get(device)}; it is at ${seq}`;
    last.set(device, seq);
  }
};

/** Every message comes to an end: acknowledged, always at the same place, or refused. */
const unresolved: Check = function* ({ history }) {
  const ends = grouped(
    history.filter((one) => one.type === "ok" || one.type === "fail"),
    ({ mid }) => mid,
  );
  for (const { mid } of only(history, "invoke")) {
    const answers = new Set(ends.get(mid)?.map((end) => (end.type === "ok" ? end.seq : end.code)));
    if (answers.size !== 1) yield `${mid} has ${answers.size} ends: ${[...answers].join(", ")}`;
  }
};

/** Whoever is removed neither receives nor sends anything later, until it is in again; nobody receives what was before. */
const membership: Check = function* ({ history }) {
  const removedAt = new Map<string, number>();
  const joinedAt = new Map<string, number>();
  const late = new Set<string>();
  for (const one of history) {
    if (one.type === "joined") {
      joinedAt.set(one.device, one.seq);
      removedAt.delete(one.device);
    }
    const bound = removedAt.get(one.device);
    const from = joinedAt.get(one.device);
    if (one.type === "recv" && from !== undefined && one.seq <= from)
      yield `${one.device} received ${one.seq} although it came in at ${from}`;
    if (one.type === "removed") removedAt.set(one.device, one.seq);
    else if (bound === undefined) continue;
    else if (one.type === "invoke") late.add(one.mid);
    else if (one.type === "recv" && one.seq > bound)
      yield `${one.device} received ${one.seq} after removal at ${bound}`;
    else if (one.type === "ok" && late.has(one.mid)) yield `${one.device} sent ${one.mid} after its removal`;
  }
};

/** Whoever came in and was not removed has received everything since then. */
const absent: Check = function* ({ history, log }) {
  const here = new Map<string, { from: number; received: Set<number> }>();
  for (const one of history) {
    if (one.type === "joined") here.set(one.device, { from: one.seq, received: new Set() });
    else if (one.type === "removed") here.delete(one.device);
    else if (one.type === "recv") here.get(one.device)?.received.add(one.seq);
  }
  for (const [device, { from, received }] of here) {
    for (const { seq, mid } of log) {
      if (mid !== null && seq > from && !received.has(seq)) yield `${device} never received ${mid} at ${seq}`;
    }
  }
};

/** Exactly one commit ends each epoch, and epochs follow each other. */
const epoch: Check = function* ({ log }) {
  const epochs = log.toSorted((a, b) => a.seq - b.seq).flatMap(({ commits }) => commits ?? []);
  for (const [index, ended] of epochs.entries()) {
    const before = epochs[index - 1];
    if (before !== undefined && ended !== before + 1) yield `a commit of epoch ${ended} follows one of epoch ${before}`;
  }
};

const CHECKS: Record<AnomalyKind, Check> = {
  lost,
  phantom,
  duplicate,
  inconsistent,
  hole,
  skip,
  disagreement,
  real_time: realTime,
  session,
  unresolved,
  membership,
  absent,
  epoch,
};

/** Every anomaly in what was observed of one conversation, given the log it ended with. Empty means that all promises were kept. */
export function check(history: readonly Observation[], log: readonly Row[]): readonly Anomaly[] {
  const evidence: Evidence = {
    history,
    log,
    seqOf: new Map(log.flatMap(({ mid, seq }) => (mid === null ? [] : [[mid, seq] as const]))),
    rowOf: new Map(log.map((row) => [row.seq, row])),
  };
  return Object.entries(CHECKS).flatMap(([kind, find]) =>
    [...find(evidence)].map((what) => ({ kind: kind as AnomalyKind, what })),
  );
}
