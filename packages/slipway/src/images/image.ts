/** What the rest of Slipway knows of an image: its name in the config and the digest that is shipped. */
export interface BuiltImage {
  /** Key under `images` in the config; manifests name it as `image: NAME`. */
  readonly name: string;
  /** `sha256:…` of the manifest (or index) that is pushed. */
  readonly digest: string;
  /** `host:port/repository:tag@sha256:…` once pushed; what manifests carry. Undefined before the push. */
  readonly reference: string | undefined;
  /** Folder of the OCI image layout that holds it. */
  readonly layout: string;
}
