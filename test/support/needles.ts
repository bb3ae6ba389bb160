// Finds many byte strings in many files at once, in any spelling they could have been written down in.

interface Needle {
  readonly name: string;
  readonly bytes: Buffer;
}

/** The ways in which something could be written down: raw, UTF-16, hex, and base64 at each of its three alignments. */
function spellings(secret: Buffer): readonly Buffer[] {
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), secret]).toString("base64");
    // The characters at both ends depend on what stands beside the secret
    return text.slice(shift === 0 ? 0 : shift + 1, -4);
  });
  const url = base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"));
  const hex = secret.toString("hex");
  const texts = [...base64, ...url, hex, hex.toUpperCase()].map((text) => Buffer.from(text));
  return [secret, Buffer.from(secret.toString("latin1"), "utf16le"), ...texts];
}

/** The first three bytes as a number: what a needle is looked up by. */
const headOf = (bytes: Buffer, at: number): number => bytes.readUIntBE(at, 3);

/** A set of byte strings of at least 16 bytes, ready to be searched for. */
export class Needles {
  readonly #byHead = new Map<number, Needle[]>();
  readonly #heads = new Uint8Array(2 ** 24);

  constructor(secrets: ReadonlyMap<string, Buffer>) {
    for (const [name, secret] of secrets) for (const bytes of spellings(secret)) this.#add({ name, bytes });
  }

  #add(needle: Needle): void {
    const head = headOf(needle.bytes, 0);
    this.#heads[head] = 1;
    this.#byHead.set(head, [...(this.#byHead.get(head) ?? []), needle]);
  }

  /** The names of all that stand anywhere in `content`. */
  findIn(content: Buffer): ReadonlySet<string> {
    const found = new Set<string>();
    let head = 0;
    for (let end = 0; end < content.length; end++) {
      head = ((head << 8) | (content[end] ?? 0)) & 0xff_ffff;
      if (end < 2 || this.#heads[head] === 0) continue;
      const at = end - 2;
      for (const { name, bytes } of this.#byHead.get(head) ?? []) {
        if (content.compare(bytes, 0, bytes.length, at, Math.min(content.length, at + bytes.length)) === 0)
          found.add(name);
      }
    }
    return found;
  }
}
