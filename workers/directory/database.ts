// Owns how statements reach D1: one atomic batch, tried again where D1 says so, and `unavailable` when it will not answer.
// Knows no table.

import { Refusal } from "../../schemas/refusal.ts";
import { traceBug } from "../trace.ts";

type Row = Readonly<Record<string, unknown>>;

// The errors that Cloudflare's "Debug D1" documents as transient. D1 itself never retries a write.
const TRANSIENT =
  /network connection lost|caused object to be reset|reset because its code was updated|transient issue|client disconnected/i;
const ATTEMPTS = 3;

/**
 * Runs statements in order as one transaction and returns the rows of each. Every write in this folder may be repeated
 * without harm, so a lost answer is tried again.
 * @throws {Refusal} unavailable — the database does not answer
 */
export async function run(db: D1Database, statements: readonly D1PreparedStatement[]): Promise<readonly Row[][]> {
  for (let attempt = 1; ; attempt++) {
    try {
      const results = await db.batch<Row>([...statements]);
      return results.map(({ results }) => results);
    } catch (error) {
      if (attempt < ATTEMPTS && error instanceof Error && TRANSIENT.test(error.message)) {
        await scheduler.wait(Math.random() * 50 * 2 ** attempt);
        continue;
      }
      throw new Refusal("unavailable", { reference: traceBug("directory", error) });
    }
  }
}

/** The rows of one statement. @throws {Refusal} unavailable — the database does not answer */
export async function rowsOf(db: D1Database, statement: D1PreparedStatement): Promise<readonly Row[]> {
  const [rows = []] = await run(db, [statement]);
  return rows;
}
