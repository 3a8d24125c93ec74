/** The token, once more: asked for by everything that changes something, so that a page left open is not enough. */
export function TokenField({
  value,
  onChange,
}: {
  readonly value: string;
  readonly onChange: (token: string) => void;
}) {
  return (
    <label>
      The dashboard's token, once more
      <input
        type="password"
        autoComplete="off"
        required
        value={value}
        onChange={({ target }) => onChange(target.value)}
      />
    </label>
  );
}
