/** An object as a client sent it: of the right types (decoding saw to that), but any field may be missing. */
export type Sent<T> = T extends readonly (infer Item)[]
  ? readonly Sent<Item>[]
  : T extends object
    ? { readonly [Name in keyof T]?: Sent<T[Name]> }
    : T;
