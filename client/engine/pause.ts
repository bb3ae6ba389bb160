// Owns giving way: whoever has much to do lets the event loop take in what has come meanwhile.

/** Resolves after the event loop has had its turn. */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}
