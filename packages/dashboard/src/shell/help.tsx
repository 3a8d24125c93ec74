import { Dialog } from "../parts/dialog.tsx";
import { otherKeys, pageKeys } from "./keys.ts";
import { titles } from "./nav.tsx";
import { pageNames } from "./route.ts";

export function Help({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl className="keys">
        {pageNames.map((page) => (
          <div key={page}>
            <dt>
              <kbd>g</kbd> <kbd>{pageKeys[page]}</kbd>
            </dt>
            <dd>{titles[page]}</dd>
          </div>
        ))}
        {otherKeys.map(({ key, text }) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <div className="buttons">
          <button type="submit">Close</button>
        </div>
      </form>
    </Dialog>
  );
}
