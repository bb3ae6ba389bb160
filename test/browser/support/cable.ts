// A cable between a browser and the server that can be pulled: connections through it end at once, and new ones are refused. Chromium's
// own offline mode leaves open sockets open, which no lost network does.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Cable {
  /** The server's address through this cable. */
  readonly url: string;
  pull(): void;
  plug(): void;
  stop(): Promise<void>;
}

/** Lays a cable on the loopback to the server at `url`. */
export async function layCable(url: string): Promise<Cable> {
  const { hostname, port } = new URL(url);
  const ends = new Set<Socket>();
  let pulled = false;
  const pull = (): void => {
    pulled = true;
    for (const end of ends) end.destroy();
  };
  const server = createServer((near) => {
    if (pulled) {
      near.destroy();
      return;
    }
    const far = connect(Number(port), hostname);
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(end);
      // Whatever happens to one end happens to the other.
      end.on("error", () => undefined);
      end.on("close", () => {
        ends.delete(end);
        other.destroy();
      });
      end.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pull,
    plug: () => {
      pulled = false;
    },
    stop: async () => {
      pull();
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}
