// Owns what an engine is opened with: its store, its server, and whatever of the platform a test may replace. Does nothing itself.

import type { DeviceKind } from "../../schemas/api.ts";
import type { Clock } from "./clock.ts";
import type { Sealing } from "./seal/seal.ts";
import type { Store } from "./store.ts";

export interface MessengerOptions {
  /** The profile's database; the engine closes it. */
  readonly store: Store;
  /** What the store is sealed by, where it is. */
  readonly sealing?: Sealing;
  /** Origin of the server. */
  readonly server: string;
  /** What this device is, for people's lists of devices. */
  readonly kind?: DeviceKind;
  readonly fetch?: typeof fetch;
  readonly WebSocket?: typeof WebSocket;
  readonly clock?: Clock;
  /** What the platform knows of its network; without it, only trying tells. */
  readonly network?: Network;
  /** Told of what must not happen, for diagnosis; never with content. */
  readonly log?: (where: string, error: unknown) => void;
}

/** The part of a page's or worker's global that knows about the network. */
interface Network extends Pick<EventTarget, "addEventListener" | "removeEventListener"> {
  readonly navigator: { readonly onLine: boolean };
}
