/** A commit as people write it. */
export function Commit({ hash }: { readonly hash: string }) {
  return (
    <code className="commit" title={hash}>
      {hash.slice(0, 7)}
    </code>
  );
}
