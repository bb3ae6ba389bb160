// Owns what a workload needs of a server under load, whoever serves: rooms with sockets that send payloads and count deliveries.

/** One connected device. */
export interface Peer {
  /** Sends one payload of about `size` bytes that carries `sentAt` (performance.now of the load). */
  send(size: number, sentAt: number): void;
  /** Sequence number of the newest delivery to this peer. */
  readonly seq: number;
  /** Called with the number of deliveries just arrived; `sentAts` only while {@link sample} is on. */
  onDelivery: ((count: number, sentAts: readonly number[]) => void) | null;
  /** Whether to read the payloads' times, which costs the load's processor. */
  sample: boolean;
  /** Stops reading from the socket, as a stalled client does. */
  stall(): void;
  close(): void;
}

export interface Target {
  readonly name: string;
  /** The server's process. */
  readonly pid: number;
  /** Connects `size` devices to room number `room`, ready to send and receive. */
  fill(room: number, size: number): Promise<Peer[]>;
  stop(): Promise<void>;
}

/** The payload's last 8 bytes carry the time it was sent. */
export function stampedPayload(size: number, sentAt: number): Uint8Array {
  const payload = new Uint8Array(size).fill(0x5a);
  new DataView(payload.buffer).setFloat64(size - 8, sentAt);
  return payload;
}

/** Reads the time out of a stamped payload. */
export function stampOf(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getFloat64(payload.byteLength - 8);
}
