// Owns what every part of a signed-in engine is given: the doors to store, server, clock and people. Does nothing itself.

import type { Policy } from "../../schemas/policy.ts";
import type { RefusalCode } from "../../schemas/refusal.ts";
import type { Api } from "./api.ts";
import type { Clock } from "./clock.ts";
import type { Context } from "./group/state.ts";
import type { KeyWatch } from "./key-watch.ts";
import type { Dialer } from "./link.ts";
import type { Live } from "./live.ts";
import type { People } from "./people.ts";
import type { ServerTime } from "./server-time.ts";
import type { Siblings } from "./siblings.ts";
import type { Store } from "./store.ts";
import type { Timers } from "./timers.ts";

export interface Surroundings {
  readonly store: Store;
  readonly api: Api;
  readonly clock: Clock;
  readonly time: ServerTime;
  readonly live: Live;
  readonly people: People;
  readonly keys: KeyWatch;
  readonly timers: Timers;
  readonly siblings: Siblings;
  /** Who this device is in every group, and whom it believes. */
  readonly context: Context;
  /** The last run of this profile did not end by itself: something it took in may have killed it. */
  readonly careful: boolean;
  policy(): Policy;
  dialer(path: string): Dialer;
  /** A conversation has more or less to do than before: decide again whether it needs a socket. */
  review(): void;
  /** Something that belongs into the backup is durable. */
  keep(): void;
  /** A member nobody has heard of turned up. */
  meet(): void;
  /** The server will not have this device any more. */
  end(code: RefusalCode): void;
  /** Something that must not happen happened; `where` names the part. */
  fault(where: string, error: unknown): void;
}
