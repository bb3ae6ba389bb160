// Owns who is in a conversation, in the object's SQLite and in memory: participants, the seats their devices have in the group, and what
// each device has confirmed. Knows no rules and no sockets.

import type { DeviceId, MemberId } from "../../schemas/ids.ts";
import type { Change, Seat, Who } from "./order.ts";

/** A device's seat. `confirmed`: everything up to this seq is durable there; `nudged`: it was told that there is something new. */
export interface RosterSeat extends Seat {
  readonly leaf: number;
  pending: boolean;
  confirmed: number;
  nudged: boolean;
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS participants (member TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS expelled (device TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS seats (
    leaf INTEGER PRIMARY KEY, member TEXT NOT NULL, device TEXT NOT NULL UNIQUE,
    confirmed INTEGER NOT NULL, nudged INTEGER NOT NULL, pending INTEGER NOT NULL
  );`;

/** The people and devices of one conversation. */
export class Roster {
  readonly #sql: SqlStorage;
  readonly #unsaved = new Set<RosterSeat>();
  participants = new Set<MemberId>();
  expelled = new Set<DeviceId>();
  seats: (RosterSeat | null)[] = [];
  leafOf = new Map<DeviceId, number>();
  pending: number[] = [];

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLES);
    this.reload();
  }

  /** Reads everything anew, after a transaction that was rolled back; what devices confirmed since stays known. */
  reload(): void {
    const confirmed = new Map([...this.#unsaved].map((seat) => [seat.device, seat.confirmed]));
    this.participants = new Set(this.#column<MemberId>("SELECT member FROM participants"));
    this.expelled = new Set(this.#column<DeviceId>("SELECT device FROM expelled"));
    this.seats = [];
    const rows = this.#sql.exec<SeatRow>(
      "SELECT leaf, member, device, confirmed, nudged, pending FROM seats ORDER BY leaf",
    );
    for (const row of rows) {
      while (this.seats.length < row.leaf) this.seats.push(null);
      this.seats.push(toSeat(row));
    }
    this.#index();
    this.#unsaved.clear();
    for (const [device, seq] of confirmed) this.confirm(device, seq);
  }

  seatOf(device: DeviceId): RosterSeat | undefined {
    const leaf = this.leafOf.get(device);
    return leaf === undefined ? undefined : (this.seats[leaf] ?? undefined);
  }

  /** The seats that fit. */
  select(fits: (seat: RosterSeat) => boolean): RosterSeat[] {
    const found: RosterSeat[] = [];
    for (const seat of this.seats) if (seat !== null && fits(seat)) found.push(seat);
    return found;
  }

  admit(member: MemberId): void {
    this.#sql.exec("INSERT OR IGNORE INTO participants VALUES (?)", member);
    this.participants.add(member);
  }

  /** Takes a member out; the seats of its devices are pending from now on. */
  dismiss(member: MemberId): void {
    this.#sql.exec("DELETE FROM participants WHERE member = ?", member);
    this.participants.delete(member);
    this.#removeSeats((seat) => seat.member === member);
  }

  /** Shuts a device out for ever; its seat is pending from now on. */
  expel(device: DeviceId): void {
    this.#sql.exec("INSERT OR IGNORE INTO expelled VALUES (?)", device);
    this.expelled.add(device);
    this.#removeSeats((seat) => seat.device === device);
  }

  /** Seats the founder's device on leaf 0, where MLS puts it. */
  found(who: Who): void {
    this.#seat(0, who, 0);
    this.#index();
  }

  /** Applies an accepted commit, stored at `seq`. Who joins by it can read what comes after, so everything up to `seq` counts as confirmed. */
  apply({ seats, joined, removed }: Change, seq: number): void {
    const arrived = new Set(joined.map(({ device }) => device));
    for (const leaf of removed) this.#vacate(leaf);
    for (const [leaf, who] of seats.entries()) if (who !== null && arrived.has(who.device)) this.#seat(leaf, who, seq);
    this.seats.length = seats.length;
    this.#index();
  }

  /** Remembers that a device holds everything up to `seq`; saved by {@link save}. */
  confirm(device: DeviceId, seq: number): void {
    const seat = this.seatOf(device);
    if (seat === undefined || seq <= seat.confirmed) return;
    seat.confirmed = seq;
    this.#unsaved.add(seat);
  }

  /** Writes what was confirmed since the last time. */
  save(): void {
    for (const { confirmed, device } of this.#unsaved) {
      this.#sql.exec("UPDATE seats SET confirmed = ? WHERE device = ?", confirmed, device);
    }
    this.#unsaved.clear();
  }

  setNudged(seat: RosterSeat, nudged: boolean): void {
    this.#sql.exec("UPDATE seats SET nudged = ? WHERE leaf = ?", nudged ? 1 : 0, seat.leaf);
    seat.nudged = nudged;
  }

  /** Everything up to this seq is on every device that can read it; 0 without any device. */
  passed(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const seat of this.seats) if (seat !== null && !seat.pending) least = Math.min(least, seat.confirmed);
    return Number.isFinite(least) ? least : 0;
  }

  /** Everything up to this seq is on at least one device of every participant that has one; 0 without any device. */
  delivered(): number {
    const best = new Map<MemberId, number>();
    for (const seat of this.seats) {
      if (seat !== null && !seat.pending) best.set(seat.member, Math.max(best.get(seat.member) ?? 0, seat.confirmed));
    }
    let least = Number.POSITIVE_INFINITY;
    for (const seq of best.values()) least = Math.min(least, seq);
    return Number.isFinite(least) ? least : 0;
  }

  #removeSeats(matches: (seat: RosterSeat) => boolean): void {
    for (const seat of this.select((one) => !one.pending && matches(one))) {
      this.#sql.exec("UPDATE seats SET pending = 1 WHERE leaf = ?", seat.leaf);
      seat.pending = true;
    }
    this.#index();
  }

  #vacate(leaf: number): void {
    const seat = this.seats[leaf];
    if (seat != null) this.#unsaved.delete(seat);
    this.#sql.exec("DELETE FROM seats WHERE leaf = ?", leaf);
    this.seats[leaf] = null;
  }

  #seat(leaf: number, { member, device }: Who, confirmed: number): void {
    this.#sql.exec("INSERT INTO seats VALUES (?, ?, ?, ?, 0, 0)", leaf, member, device, confirmed);
    while (this.seats.length < leaf) this.seats.push(null);
    this.seats[leaf] = { leaf, member, device, confirmed, nudged: false, pending: false };
  }

  #index(): void {
    this.leafOf = new Map();
    for (const seat of this.seats) if (seat !== null) this.leafOf.set(seat.device, seat.leaf);
    this.pending = this.seats.flatMap((seat) => (seat?.pending ? [seat.leaf] : []));
  }

  #column<Id extends string>(query: string): Id[] {
    return [...this.#sql.exec(query).raw<[Id]>()].map(([value]) => value);
  }
}

interface SeatRow extends Record<string, SqlStorageValue> {
  leaf: number;
  member: string;
  device: string;
  confirmed: number;
  nudged: number;
  pending: number;
}

function toSeat({ leaf, member, device, confirmed, nudged, pending }: SeatRow): RosterSeat {
  return {
    leaf,
    member: member as MemberId,
    device: device as DeviceId,
    confirmed,
    nudged: nudged === 1,
    pending: pending === 1,
  };
}
