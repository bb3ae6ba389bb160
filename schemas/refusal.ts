// Owns the one expected failure: a refusal with a documented code. Any other thrown thing is a bug.

/** What the other side should do about a refusal. */
export type Remedy = "retry" | "catch_up" | "sign_in" | "update" | "give_up";

/** Every code, its HTTP status and its remedy. PROTOCOL.md documents each. */
export const REFUSALS = {
  malformed: { status: 400, remedy: "give_up" },
  too_large: { status: 413, remedy: "give_up" },
  unauthenticated: { status: 401, remedy: "sign_in" },
  token_expired: { status: 401, remedy: "sign_in" },
  origin_forbidden: { status: 403, remedy: "give_up" },
  forbidden: { status: 403, remedy: "give_up" },
  device_revoked: { status: 403, remedy: "give_up" },
  tenant_suspended: { status: 403, remedy: "give_up" },
  not_found: { status: 404, remedy: "give_up" },
  conflict: { status: 409, remedy: "give_up" },
  stale_epoch: { status: 409, remedy: "catch_up" },
  stale_generation: { status: 409, remedy: "catch_up" },
  removal_pending: { status: 409, remedy: "catch_up" },
  commit_forbidden: { status: 403, remedy: "catch_up" },
  expiry_out_of_policy: { status: 422, remedy: "give_up" },
  invite_expired: { status: 410, remedy: "give_up" },
  invite_used_up: { status: 410, remedy: "give_up" },
  invite_revoked: { status: 410, remedy: "give_up" },
  rate_limited: { status: 429, remedy: "retry" },
  quota: { status: 507, remedy: "give_up" },
  version_unsupported: { status: 426, remedy: "update" },
  wrong_residency: { status: 421, remedy: "give_up" },
  unavailable: { status: 503, remedy: "retry" },
  internal: { status: 500, remedy: "retry" },
} as const satisfies Record<string, { status: number; remedy: Remedy }>;

export type RefusalCode = keyof typeof REFUSALS;

/** A small, content-free elaboration that may cross the wire: numbers, ids, a trace reference. */
export type RefusalDetail = Readonly<Record<string, string | number | boolean | null | readonly (string | number)[]>>;

/** An expected no. Recognise it by shape ({@link isRefusal}): the class does not survive RPC between objects. */
export class Refusal extends Error {
  readonly code: RefusalCode;
  readonly detail: RefusalDetail;

  constructor(code: RefusalCode, detail: RefusalDetail = {}) {
    super(code);
    this.name = "Refusal";
    this.code = code;
    this.detail = detail;
  }
}

/** Whether an unknown thrown thing is a refusal, also one that crossed an RPC boundary. */
export function isRefusal(error: unknown): error is { code: RefusalCode; detail: RefusalDetail } {
  return (
    error instanceof Error && "code" in error && typeof error.code === "string" && Object.hasOwn(REFUSALS, error.code)
  );
}

/** The close code of a socket that ends by a refusal; the refusal code is the close reason. */
export const REFUSED_CLOSE = 4000;
