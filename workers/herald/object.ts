// Owns the shell of a tenant's herald: it carries the newest decree to every conversation and mailbox of the tenant, page by page, and again
// where it was not confirmed. Knows nothing of what they make of it.

import { DurableObject } from "cloudflare:workers";
import type { TenantId } from "../../schemas/ids.ts";
import type { Residency } from "../../schemas/policy.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { Alarm } from "../alarm.ts";
import { type Addressee, findDecree, listAddressees, noteTold } from "../directory/decrees.ts";
import { Effects } from "../effects.ts";
import type { Env } from "../env.ts";
import { assertResidency, conversationStub, mailboxStub } from "../residency.ts";
import { traceBug } from "../trace.ts";
import { Walk } from "./walk.ts";

interface Home {
  readonly tenant: TenantId;
  readonly residency: Residency;
}

/** So many objects are told in one turn: the platform bounds what one invocation may call. */
const PAGE = 200;
/** How long the first turn may take before the alarm takes over, in ms. */
const PATIENCE = 2_000;

/** One tenant's herald. */
export class HeraldObject extends DurableObject<Env> {
  readonly #walk: Walk;
  readonly #effects: Effects<Addressee>;
  readonly #alarm: Alarm;
  #turning: Promise<void> | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#walk = new Walk(ctx.storage.sql);
    this.#effects = new Effects(ctx.storage.sql, (addressee) => this.#tell(addressee));
    this.#alarm = new Alarm(ctx.storage, () => this.#dueAt(Date.now()));
  }

  /**
   * Sets out with what D1 says now, unless that is under way. Resolves once it is written down and the first turn is over, or has taken too long.
   * @throws {Refusal} wrong_residency; not_found — no such tenant; unavailable
   */
  async proclaim({ tenant, residency }: Home): Promise<void> {
    assertResidency(this.ctx, this.env, residency);
    const decree = await findDecree(tenant, this.env.DIRECTORY);
    if (decree === undefined) throw new Refusal("not_found");
    this.#walk.begin({ tenant, residency, decree });
    this.#alarm.by(Date.now() + PATIENCE);
    // What fails here the alarm does again
    const turn = this.#turn().then(
      () => this.#alarm.rearm(),
      (error) => void traceBug("herald", error),
    );
    await Promise.race([turn, scheduler.wait(PATIENCE)]);
  }

  override async alarm(): Promise<void> {
    await this.#alarm.ring(
      () => this.#turn(),
      (error) => traceBug("sweep", error),
    );
  }

  /** One turn at a time; who comes meanwhile waits for that one. */
  #turn(): Promise<void> {
    this.#turning ??= this.#go().finally(() => {
      this.#turning = null;
    });
    return this.#turning;
  }

  async #go(): Promise<void> {
    await this.#writeDown();
    await this.#effects.run(Date.now());
    const { leg } = this.#walk;
    if (leg === null || leg.kind !== null || this.#effects.dueAt() !== null) return;
    await noteTold(leg.tenant, this.env.DIRECTORY, leg.decree.revision);
    if (this.#walk.leg === leg) this.#walk.end();
  }

  /** Writes the next objects down to be told, of one kind and then of the other. */
  async #writeDown(): Promise<void> {
    for (let room = PAGE; room > 0; ) {
      const { leg } = this.#walk;
      if (leg === null || leg.kind === null) return;
      const { tenant, kind, after } = leg;
      const page = await listAddressees(tenant, this.env.DIRECTORY, { kind, after, limit: room });
      // A newer decree has set out meanwhile, from the beginning
      if (this.#walk.leg !== leg) return;
      this.ctx.storage.transactionSync(() => {
        this.#effects.add(page, Date.now());
        this.#walk.advance(leg, page, page.length === room);
      });
      room -= page.length;
    }
  }

  #dueAt(now: number): number | null {
    const { leg } = this.#walk;
    const waiting = this.#effects.dueAt();
    return leg !== null && (leg.kind !== null || waiting === null) ? now : waiting;
  }

  async #tell({ kind, id }: Addressee): Promise<void> {
    const { leg } = this.#walk;
    if (leg === null) return;
    const { tenant, residency, decree } = leg;
    if (kind === "conversation") {
      await conversationStub(this.env, { tenant, residency, conversation: id }).adopt({ residency, decree });
    } else await mailboxStub(this.env, { tenant, residency, member: id }).adopt({ residency, decree });
  }
}
