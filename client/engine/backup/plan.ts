// Owns the decision what of a backup is written anew and what leaves it, as a pure function of the rows there are and the segments there
// are. Touches neither store nor vault.

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** What expires sooner than this is not worth a segment. */
const SOON = 2 * HOUR;
/** What lives longer than this may leave the backup up to a day early, anything else up to an hour. Nothing ever leaves late. */
const LONG = 4 * DAY;

/** A row as planning sees it: `size` in bytes, `expiresAt` in ms by the server's clock, `hot` when it changes all the time. */
export interface Wanted {
  readonly digest: string;
  readonly size: number;
  readonly expiresAt: number | null;
  readonly hot: boolean;
}

/** Which rows lie together: `state` is written anew as a whole, `history` stays; all of a lane leaves the vault at the same time. */
interface Group {
  readonly kind: "state" | "history";
  readonly lane: number | null;
}

/** A segment that lies in the vault, with every row in it as it was written. */
export interface Held extends Group {
  readonly id: string;
  readonly version: number;
  readonly rows: ReadonlyMap<string, Pick<Wanted, "digest">>;
}

export interface Plan {
  /** Segments to delete. */
  readonly drop: ReadonlySet<string>;
  /** Segments to write, with the keys of their rows. */
  readonly write: readonly (Group & { readonly rows: readonly string[] })[];
}

interface Input {
  readonly rows: ReadonlyMap<string, Wanted>;
  readonly segments: readonly Held[];
  readonly now: number;
  /** How many bytes of rows one segment takes. */
  readonly most: number;
}

/**
 * Compares rows with segments. Afterwards every row that does not expire soon is in a segment as it is, no segment holds a row that is gone,
 * and none outlives a row in it. Small segments are merged, so that there are only logarithmically many.
 */
export function plan(input: Input): Plan {
  const { rows, segments, now } = input;
  const drop = new Set(segments.filter((segment) => isStale(segment, input)).map(({ id }) => id));
  const places = placesOf(segments.filter(({ id }) => !drop.has(id)));
  const pending = new Map<string, Group & { readonly keys: Set<string> }>();
  for (const [key, row] of rows) {
    if (isSoon(row, now) || holds(places.get(key), key, row)) continue;
    const group = groupOf(row, now);
    const name = `${group.kind} ${group.lane}`;
    const there = pending.get(name);
    if (there === undefined) pending.set(name, { ...group, keys: new Set([key]) });
    else there.keys.add(key);
  }
  for (const key of [...pending.values()].flatMap(({ keys }) => [...keys])) places.delete(key);
  const live = liveRows(places);
  for (const { id } of segments) if (!live.has(id)) drop.add(id);
  for (const group of pending.values()) merge(group, { ...input, live, drop });
  const write = [...pending.values()].flatMap(({ kind, lane, keys }) =>
    chunk(keys, input).map((chunked) => ({ kind, lane, rows: chunked })),
  );
  return { drop, write };
}

/** Its time has come, or it holds something that is gone or goes before it. */
function isStale({ lane, rows: held }: Held, { rows, now }: Input): boolean {
  if (lane !== null && lane <= now) return true;
  for (const key of held.keys()) {
    const row = rows.get(key);
    if (row === undefined || (row.expiresAt !== null && (lane === null || lane > row.expiresAt))) return true;
  }
  return false;
}

/** For each row the segment that counts: the newest that holds it. */
function placesOf(segments: readonly Held[]): Map<string, Held> {
  const places = new Map<string, Held>();
  for (const segment of segments.toSorted((a, b) => a.version - b.version)) {
    for (const key of segment.rows.keys()) places.set(key, segment);
  }
  return places;
}

function holds(segment: Held | undefined, key: string, row: Wanted): boolean {
  if (segment === undefined || segment.rows.get(key)?.digest !== row.digest) return false;
  // A lane that comes before the row's expiry was right when it was chosen, and another one is chosen when it has come
  return (segment.lane === null) === (row.expiresAt === null);
}

function isSoon({ expiresAt }: Wanted, now: number): boolean {
  return expiresAt !== null && expiresAt - now < SOON;
}

function groupOf({ hot, expiresAt }: Wanted, now: number): Group {
  if (expiresAt === null) return { kind: hot ? "state" : "history", lane: null };
  const width = expiresAt - now > LONG ? DAY : HOUR;
  return { kind: "history", lane: Math.floor(expiresAt / width) * width };
}

function liveRows(places: ReadonlyMap<string, Held>): Map<string, string[]> {
  const live = new Map<string, string[]>();
  for (const [key, { id }] of places) {
    const keys = live.get(id);
    if (keys === undefined) live.set(id, [key]);
    else keys.push(key);
  }
  return live;
}

/** Takes small segments of the same group in: each that is not twice as large as what is written anyway, while it all fits into one. */
function merge(
  { kind, lane, keys }: Group & { readonly keys: Set<string> },
  { segments, rows, most, live, drop }: Input & { readonly live: Map<string, string[]>; readonly drop: Set<string> },
): void {
  const sizeOf = (some: Iterable<string>) => [...some].reduce((sum, key) => sum + (rows.get(key)?.size ?? 0), 0);
  let size = sizeOf(keys);
  const candidates = segments
    .filter((segment) => segment.kind === kind && segment.lane === lane && !drop.has(segment.id))
    .map(({ id }) => ({ id, keys: live.get(id) ?? [], size: sizeOf(live.get(id) ?? []) }))
    .sort((a, b) => a.size - b.size);
  for (const candidate of candidates) {
    const small = candidate.size <= 2 * size && size + candidate.size <= most;
    if (!small && kind === "history") break;
    drop.add(candidate.id);
    size += candidate.size;
    for (const key of candidate.keys) keys.add(key);
  }
}

function chunk(keys: ReadonlySet<string>, { rows, most }: Input): string[][] {
  const chunks: string[][] = [];
  let room = 0;
  for (const key of [...keys].sort()) {
    const size = rows.get(key)?.size ?? 0;
    if (chunks.length === 0 || size > room) {
      chunks.push([]);
      room = most;
    }
    chunks.at(-1)?.push(key);
    room -= size;
  }
  return chunks;
}
