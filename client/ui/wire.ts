// Owns what crosses postMessage between the page and the engine's worker. Plain data only; no logic.

import type { RefusalCode, RefusalDetail } from "../../schemas/refusal.ts";
import type { Opener } from "../engine/seal/keys.ts";
import type { LockView, Seal } from "../engine/seal/seal.ts";
import type { Gate } from "../engine/seal/unlock.ts";
import type { Engine, EngineEvent, Snapshot } from "../engine/view.ts";

/** What may be changed about the app lock while it is open. */
export type LockCalls = Pick<Seal, "guard" | "unguard" | "setMinutes">;

/** The engine's methods that cross as a call and an answer. */
export type Method = Exclude<keyof Engine, "snapshot" | "on">;

/** Where the engine is: not yet known, behind a gate, running behind this page, held by another tab, or dead by a bug. */
export type Place = "starting" | Gate | "here" | "elsewhere" | "crashed";

/**
 * `take`: bring the engine here from the other tab; `network`: what the page knows of it, because not every browser tells its workers; `unlock`:
 * what shall open the app lock; `lock`: put the engine down and shut the app lock; `forget`: end it and delete everything it stored.
 */
export type FromPage =
  | {
      readonly type: "call";
      readonly id: number;
      readonly method: Method | keyof LockCalls;
      readonly input: readonly unknown[];
    }
  | { readonly type: "take" }
  | { readonly type: "network"; readonly online: boolean }
  | { readonly type: "unlock"; readonly opener: Opener }
  | { readonly type: "lock" }
  | { readonly type: "forget" };

export type Answer =
  | { readonly type: "answer"; readonly id: number; readonly ok: true; readonly value: unknown }
  | {
      readonly type: "answer";
      readonly id: number;
      readonly ok: false;
      readonly code: RefusalCode;
      readonly detail: RefusalDetail;
    };

/** `lock`: the app lock as it stands, null for none; `locked`: everything is put down, and the worker may be ended. */
export type FromWorker =
  | Answer
  | { readonly type: "place"; readonly place: Place }
  | { readonly type: "lock"; readonly lock: LockView | null }
  | { readonly type: "locked" }
  | { readonly type: "snapshot"; readonly snapshot: Snapshot }
  | { readonly type: "event"; readonly event: Exclude<EngineEvent, { type: "snapshot" }> }
  | { readonly type: "forgotten" };
