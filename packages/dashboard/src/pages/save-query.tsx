/** A query as a file beside the configuration, for everybody. */
import { useState } from "react";
import type { ChartView, NamedQueryView, SaveQuery } from "../live/api.ts";
import { post } from "../live/client.ts";
import { store } from "../live/store.ts";
import { DeedDialog } from "../parts/deed-dialog.tsx";
import { go } from "../shell/use-route.ts";

export function SaveDialog({
  sql,
  query,
  chart,
  onClose,
  onSaved,
}: {
  readonly sql: string;
  readonly query: NamedQueryView | undefined;
  readonly chart: ChartView | undefined;
  readonly onClose: () => void;
  readonly onSaved: () => void;
}) {
  const [name, setName] = useState(query?.name ?? "");
  const [title, setTitle] = useState(query?.title ?? "");
  const [schedule, setSchedule] = useState(query?.schedule ?? "");
  const save = async (confirm: string): Promise<void> => {
    const request: SaveQuery = {
      name,
      title: title === "" ? name : title,
      sql,
      chart,
      schedule: schedule.trim() === "" ? undefined : schedule.trim(),
      confirm,
    };
    const { file } = await post<{ file: string }>("/api/queries/save", request);
    store.notify("good", `Saved as ${file}. Commit it, and everybody has it.`);
    onSaved();
    go({ page: "queries", id: name });
  };
  return (
    <DeedDialog
      title="Save as a file"
      button={`Save queries/${name === "" ? "…" : name}.sql`}
      refused="Not saved"
      onDo={save}
      onClose={onClose}
    >
      <label>
        Name of the file
        <input
          required
          pattern="[a-z0-9](?:[a-z0-9\-]*[a-z0-9])?"
          title="Small letters, digits and dashes"
          placeholder="slow-routes"
          value={name}
          onChange={({ target }) => setName(target.value)}
        />
      </label>
      <label>
        Title
        <input placeholder="Slowest routes" value={title} onChange={({ target }) => setTitle(target.value)} />
      </label>
      <label>
        Schedule, if it is to run by itself
        <input
          placeholder="0 9 * * 1 Asia/Tokyo"
          value={schedule}
          onChange={({ target }) => setSchedule(target.value)}
        />
        <small>Minute, hour, day, month, day of the week, time zone: Mondays at nine in Tokyo.</small>
      </label>
    </DeedDialog>
  );
}
