// Owns who is in a conversation, in the object's SQLite and in memory: participants, the seats their devices have in the group, and what
// each device has confirmed. Knows no rules and no sockets.

import type { DeviceId, MemberId } from "../../schemas/ids.ts";
import type { Change, Seat, Who } from "./order.ts";

/**
 * A device's seat. `confirmed`: everything up to this seq is durable there; `nudged`: it was told that there is something new. Without a
 * `leaf`: it sat in an earlier group and has yet to come into this one; until then it is waited for.
 */
export interface RosterSeat extends Seat {
  readonly leaf: number | null;
  pending: boolean;
  confirmed: number;
  nudged: boolean;
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS participants (member TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS expelled (device TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS seats (
    device TEXT PRIMARY KEY, member TEXT NOT NULL, leaf INTEGER,
    confirmed INTEGER NOT NULL, nudged INTEGER NOT NULL, pending INTEGER NOT NULL
  ) WITHOUT ROWID;`;

/** The people and devices of one conversation. */
export class Roster {
  readonly #sql: SqlStorage;
  readonly #unsaved = new Set<RosterSeat>();
  participants = new Set<MemberId>();
  expelled = new Set<DeviceId>();
  seats: (RosterSeat | null)[] = [];
  readonly #waitedFor = new Map<DeviceId, RosterSeat>();
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
    this.#waitedFor.clear();
    const rows = this.#sql.exec<SeatRow>("SELECT leaf, member, device, confirmed, nudged, pending FROM seats");
    for (const row of rows) this.#place(toSeat(row));
    this.#index();
    this.#unsaved.clear();
    for (const [device, seq] of confirmed) this.confirm(device, seq);
  }

  seatOf(device: DeviceId): RosterSeat | undefined {
    const leaf = this.leafOf.get(device);
    return (leaf === undefined ? undefined : this.seats[leaf]) ?? this.#waitedFor.get(device);
  }

  /** The seats that fit, with or without a leaf. */
  select(fits: (seat: RosterSeat) => boolean): RosterSeat[] {
    const found: RosterSeat[] = [];
    for (const seat of this.seats) if (seat !== null && fits(seat)) found.push(seat);
    for (const seat of this.#waitedFor.values()) if (fits(seat)) found.push(seat);
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

  /**
   * Applies an accepted commit, stored at `seq`. Who joins by it can read what comes after, so everything up to `seq` counts as confirmed,
   * unless it was waited for.
   */
  apply({ seats, joined, removed }: Change, seq: number): void {
    const arrived = new Set(joined.map(({ device }) => device));
    for (const leaf of removed) this.#vacate(leaf);
    for (const [leaf, who] of seats.entries()) if (who !== null && arrived.has(who.device)) this.#seat(leaf, who, seq);
    this.seats.length = seats.length;
    this.#index();
  }

  /**
   * Seats everybody anew in the group that begins at `seq`. Whoever sat in the old one can still read what came before and keeps what it
   * has confirmed; without a seat in the new one it is waited for, unless its removal was pending.
   */
  reseat({ seats }: Change, seq: number): void {
    const before = new Map(this.select(({ pending }) => !pending).map((seat) => [seat.device, seat]));
    this.#sql.exec("DELETE FROM seats");
    this.#unsaved.clear();
    this.#waitedFor.clear();
    for (const [device, seat] of before) this.#waitedFor.set(device, { ...seat, leaf: null });
    this.seats = [];
    for (const [leaf, who] of seats.entries()) if (who !== null) this.#seat(leaf, who, seq);
    for (const seat of this.#waitedFor.values()) this.#write(seat);
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
    this.#sql.exec("UPDATE seats SET nudged = ? WHERE device = ?", nudged ? 1 : 0, seat.device);
    seat.nudged = nudged;
  }

  /** Everything up to this seq is on every device that can read it; 0 without any device. */
  passed(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const seat of this.seats) if (seat !== null && !seat.pending) least = Math.min(least, seat.confirmed);
    for (const { confirmed } of this.#waitedFor.values()) least = Math.min(least, confirmed);
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
      if (seat.leaf === null) this.#forget(seat);
      else {
        this.#sql.exec("UPDATE seats SET pending = 1 WHERE device = ?", seat.device);
        seat.pending = true;
      }
    }
    this.#index();
  }

  #forget(seat: RosterSeat): void {
    this.#sql.exec("DELETE FROM seats WHERE device = ?", seat.device);
    this.#unsaved.delete(seat);
    this.#waitedFor.delete(seat.device);
  }

  #vacate(leaf: number): void {
    const seat = this.seats[leaf];
    if (seat != null) this.#unsaved.delete(seat);
    this.#sql.exec("DELETE FROM seats WHERE leaf = ?", leaf);
    this.seats[leaf] = null;
  }

  #seat(leaf: number, { member, device }: Who, confirmed: number): void {
    const waited = this.#waitedFor.get(device) ?? { confirmed, nudged: false };
    const seat: RosterSeat = { member, device, pending: false, ...waited, leaf };
    this.#waitedFor.delete(device);
    this.#place(seat);
    this.#write(seat);
  }

  #place(seat: RosterSeat): void {
    if (seat.leaf === null) this.#waitedFor.set(seat.device, seat);
    else {
      while (this.seats.length < seat.leaf) this.seats.push(null);
      this.seats[seat.leaf] = seat;
    }
  }

  #write({ device, member, leaf, confirmed, nudged, pending }: RosterSeat): void {
    const row = [device, member, leaf, confirmed, nudged ? 1 : 0, pending ? 1 : 0];
    this.#sql.exec("INSERT OR REPLACE INTO seats VALUES (?, ?, ?, ?, ?, ?)", ...row);
  }

  #index(): void {
    this.leafOf = new Map();
    this.pending = [];
    for (const [leaf, seat] of this.seats.entries()) {
      if (seat === null) continue;
      this.leafOf.set(seat.device, leaf);
      if (seat.pending) this.pending.push(leaf);
    }
  }

  #column<Id extends string>(query: string): Id[] {
    return [...this.#sql.exec(query).raw<[Id]>()].map(([value]) => value);
  }
}

interface SeatRow extends Record<string, SqlStorageValue> {
  leaf: number | null;
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
