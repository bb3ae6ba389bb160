// Owns the camera while a QR code is looked for. What is written in the code is for whoever asked.

import { createSignal, type JSX, onCleanup, onMount, Show } from "solid-js";
import { t } from "../language.ts";
import { Problem } from "./problem.tsx";

/** How often a picture is looked at, in ms. */
const LOOK_EVERY = 200;

/** Whether this browser can read QR codes off a camera. */
export async function canScan(): Promise<boolean> {
  if (typeof BarcodeDetector === "undefined" || navigator.mediaDevices === undefined) return false;
  const formats = await BarcodeDetector.getSupportedFormats().catch((): readonly string[] => []);
  return formats.includes("qr_code");
}

/** The camera's picture, until a code is found or this is gone. */
export function Scanner(props: { onFound: (text: string) => void }): JSX.Element {
  const [isDenied, setDenied] = createSignal(false);
  let video: HTMLVideoElement | undefined;
  let stream: MediaStream | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isGone = false;

  const stop = (): void => {
    isGone = true;
    clearTimeout(timer);
    for (const track of stream?.getTracks() ?? []) track.stop();
  };
  const look = async (detector: BarcodeDetector): Promise<void> => {
    // A picture that cannot be read is followed by the next
    const codes = video === undefined ? [] : await detector.detect(video).catch(() => []);
    const text = codes[0]?.rawValue;
    if (isGone) return;
    if (text === undefined) timer = setTimeout(() => void look(detector), LOOK_EVERY);
    else {
      stop();
      props.onFound(text);
    }
  };
  onMount(async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      if (isGone) return stop();
      if (video !== undefined) video.srcObject = stream;
      await video?.play();
      await look(new BarcodeDetector({ formats: ["qr_code"] }));
    } catch {
      setDenied(!isGone);
    }
  });
  onCleanup(stop);
  return (
    <Show when={!isDenied()} fallback={<Problem text={t().cameraDenied} />}>
      {/* biome-ignore lint/a11y/useMediaCaption: a camera's picture has no words */}
      <video ref={video} class="scanner" playsinline aria-label={t().cameraPicture} />
    </Show>
  );
}
