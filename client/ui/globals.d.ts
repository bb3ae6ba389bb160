// Declares what the browser and the bundler give that the compiler's own libraries do not describe.

/** The address of a worker's own bundle (Vite). */
declare module "*?worker&url" {
  const url: string;
  export default url;
}
declare module "*.css";

interface TrustedScriptURL extends string {
  readonly brand: "TrustedScriptURL";
}
interface TrustedTypePolicyFactory {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): { createScriptURL(url: string): TrustedScriptURL };
}
/** Reads codes off pictures; absent in many browsers (Shape Detection API, W3C draft). */
declare class BarcodeDetector {
  constructor(options: { formats: readonly string[] });
  static getSupportedFormats(): Promise<readonly string[]>;
  detect(source: HTMLVideoElement): Promise<readonly { readonly rawValue: string }[]>;
}
/** Absent in browsers that do not know Trusted Types. */
declare var trustedTypes: TrustedTypePolicyFactory | undefined;
