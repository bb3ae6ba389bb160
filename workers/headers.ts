// Owns the headers every answer carries: what a page of ours may load and do, and that answers of the API are not kept.

const CONTENT_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "frame-ancestors 'none'",
  "form-action 'none'",
  "base-uri 'none'",
  "require-trusted-types-for 'script'",
  // `kuvert` passes the address of the engine's worker and nothing else
  "trusted-types kuvert",
].join("; ");

const PERMISSIONS = [
  "accelerometer",
  "autoplay",
  "display-capture",
  "encrypted-media",
  "fullscreen",
  "geolocation",
  "gyroscope",
  "hid",
  "idle-detection",
  "local-fonts",
  "magnetometer",
  "microphone",
  "midi",
  "payment",
  "screen-wake-lock",
  "serial",
  "usb",
  "xr-spatial-tracking",
];

/** Ours alone, in no frame: they make and ask for passkeys, and the camera reads safety numbers. */
const OWN_PERMISSIONS = ["camera", "publickey-credentials-create", "publickey-credentials-get"];

const COMMON = {
  "strict-transport-security": "max-age=63072000; includeSubDomains; preload",
  "x-content-type-options": "nosniff",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
};

/** Headers of every answer of the API. */
export const API_HEADERS: Readonly<Record<string, string>> = {
  ...COMMON,
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
};

/** Headers of every file of the browser client. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  ...COMMON,
  "content-security-policy": CONTENT_POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "permissions-policy": [
    ...PERMISSIONS.map((feature) => `${feature}=()`),
    ...OWN_PERMISSIONS.map((feature) => `${feature}=(self)`),
  ].join(", "),
};
