// Owns the drawing of a QR code: one path of dark squares, black on white in either theme so that every camera reads it.

import { createMemo, type JSX } from "solid-js";
import { encode } from "uqr";

/** A QR code of `text`, an image named `label`. */
export function QrCode(props: { text: string; label: string }): JSX.Element {
  const code = createMemo(() => encode(props.text, { ecc: "M", border: 2 }));
  const squares = createMemo(() =>
    code()
      .data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")))
      .join(""),
  );
  return (
    <svg
      class="qr"
      viewBox={`0 0 ${code().size} ${code().size}`}
      shape-rendering="crispEdges"
      role="img"
      aria-label={props.label}
    >
      <path d={squares()} fill="#000" />
    </svg>
  );
}
