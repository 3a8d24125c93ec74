/** Where an upload stands after an answer. Pure: the rules are tested as a table. */

export type AfterPart =
  /** The blob is complete and stored. */
  | { readonly kind: "stored" }
  /** The registry has the first `offset` bytes. */
  | { readonly kind: "go-on"; readonly offset: number }
  /** The registry refused without a position that helps: GET on the upload says where it stands. */
  | { readonly kind: "ask" }
  /** The upload does not exist any more. */
  | { readonly kind: "start-again" };

/**
 * `part` is what was sent: `length` bytes from `offset` of a blob of `size` bytes. `range` is the header of the answer
 * (`0-<last>`).
 */
export function afterPart(
  part: { readonly offset: number; readonly length: number; readonly size: number },
  status: number,
  range: string | undefined,
): AfterPart {
  const stands = rangeEnd(range);
  const end = part.offset + part.length;
  switch (status) {
    case 201:
      return { kind: "stored" };
    case 202:
      // A registry may take less than it was sent. `0-0` says nothing (none or one byte), and some send no Range.
      return { kind: "go-on", offset: stands !== undefined && stands > 1 && stands < end ? stands : end };
    case 416:
      // `0-0` may be no byte: going on from 1 would leave a hole where the registry does not look at Content-Range.
      if (stands === undefined || stands <= 1 || stands === part.offset || stands > part.size)
        return { kind: "ask" };
      return { kind: "go-on", offset: stands };
    default:
      return { kind: "start-again" };
  }
}

/** Bytes that the registry has, of `Range: 0-<last>`. */
export function rangeEnd(header: string | undefined): number | undefined {
  const match = /^(?:bytes=)?0-(\d+)$/.exec(header ?? "");
  return match === null ? undefined : Number(match[1]) + 1;
}
