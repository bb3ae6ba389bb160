// Owns how a request becomes checked values: the body and the ids in the path, each by its schema. Knows no route.

import type { Context } from "hono";
import * as v from "valibot";
import { Refusal } from "../schemas/refusal.ts";
import { readCapped } from "./limits.ts";

/**
 * The JSON body of a request.
 * @throws {Refusal} too_large — before it is parsed; malformed — it is not UTF-8, not JSON or not of this schema
 */
export async function readBody<Schema extends v.GenericSchema>(
  c: Context,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  const bytes = await readCapped(c.req.raw);
  const parsed = v.safeParse(schema, parseJson(bytes));
  if (!parsed.success) throw new Refusal("malformed");
  return parsed.output;
}

/** A value from the address of a request. @throws {Refusal} malformed — it is not of this schema */
export function readValue<Schema extends v.GenericSchema>(schema: Schema, text: unknown): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, text);
  if (!parsed.success) throw new Refusal("malformed");
  return parsed.output;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new Refusal("malformed");
  }
}
