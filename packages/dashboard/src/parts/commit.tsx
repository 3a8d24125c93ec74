/** A commit as people write it; with a mark when the work tree had changes on top of it (`3f2a91b0c4d5-dirty`). */
export function Commit({ hash }: { readonly hash: string }) {
  return (
    <code className="commit" title={hash}>
      {hash === "uncommitted" ? hash : hash.slice(0, 7)}
      {hash.endsWith("-dirty") ? " (dirty)" : ""}
    </code>
  );
}
