// The few web globals that the contract may use. They exist wherever it runs: browser, Web Worker, Workers runtime, Node.
// Nothing else of any platform is visible in this folder.

declare function atob(data: string): string;
declare function btoa(data: string): string;

declare const crypto: {
  getRandomValues<T extends Uint8Array>(array: T): T;
  randomUUID(): string;
};

declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
}

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(input?: Uint8Array): string;
}
