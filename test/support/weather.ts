// Frames that go missing or come twice, by chance. It knows neither what they say nor whose they are.

import type { ClientFrame } from "../../schemas/frames.ts";
import type { Random } from "./random.ts";
import type { Incoming, Tampering } from "./tampered-socket.ts";

/** How often a frame goes missing, or comes twice. */
export interface Weather {
  drop: number;
  repeat: number;
}

/**
 * Sockets out in a weather, which may change at any time. A message is lost only together with the connection, as anywhere under TCP: what was sent
 * after it on the same one would otherwise come before it.
 */
export function stormy(weather: Readonly<Weather>, random: Random): Required<Pick<Tampering, "incoming" | "outgoing">> {
  const pass = <Frame extends Incoming | ClientFrame>(frame: Frame): readonly Frame[] => {
    const chance = random.next();
    if (chance < weather.drop) return [];
    return chance < weather.drop + weather.repeat ? [frame, frame] : [frame];
  };
  return {
    incoming: pass,
    outgoing: (frame) => {
      const passed = pass(frame);
      return passed.length === 0 && frame.type === "send" ? null : passed;
    },
  };
}
