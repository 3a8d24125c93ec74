/** What changes something wants the token once more: a page that was left open is not enough. */
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
        required
        type="password"
        autoComplete="off"
        value={value}
        onChange={({ target }) => onChange(target.value)}
      />
    </label>
  );
}
