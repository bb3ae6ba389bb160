// Owns loading what the engine does not need from the first moment on.

import { Refusal } from "../../schemas/refusal.ts";

/** Loads a part of the engine. @throws {Refusal} unavailable — the network has gone since the page was loaded */
export async function late<Part>(load: () => Promise<Part>): Promise<Part> {
  try {
    return await load();
  } catch {
    throw new Refusal("unavailable");
  }
}
