// Owns the steps of a test that walks through the product: each needs those before it, so that another try can only begin with the first.

/** Takes one step; whatever goes wrong in it is said with its title. */
export async function step(title: string, take: () => Promise<void> | void): Promise<void> {
  try {
    await take();
  } catch (error) {
    throw new Error(`${title}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}
