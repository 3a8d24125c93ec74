/** Two latency distributions on one axis: where the mass has moved is seen at once. */
import { milliseconds, percent } from "../words/units.ts";
import { bucketMs, shares, ticks } from "./histogram.ts";

const width = 2;

export function Distribution({
  sides,
}: {
  readonly sides: readonly { readonly name: string; readonly histogram: readonly number[] }[];
}) {
  const found = shares(
    sides.map(({ histogram }) => histogram),
    width,
  );
  if (found === undefined) return null;
  const steps = found.sides[0]?.length ?? 1;
  const from = bucketMs(found.first - 1);
  const to = bucketMs(found.first - 1 + steps * width);
  const at = (ms: number): number => (Math.log2(ms / from) / Math.log2(to / from)) * 100;
  const outline = (side: readonly number[]): string =>
    side
      .map((share, index) => {
        const y = 100 - (share / found.highest) * 94;
        return `${index === 0 ? "M0,100" : ""}L${(index / steps) * 100},${y}L${((index + 1) / steps) * 100},${y}`;
      })
      .join("");
  return (
    <figure className="distribution">
      <svg
        viewBox="0 0 100 100"
        preserveAspectRatio="none"
        role="img"
        aria-label={`Distribution of response times, ${sides.map(({ name }) => name).join(" and ")}`}
      >
        {found.sides.map((side, index) => (
          <path
            key={sides[index]?.name}
            className={index === 0 ? "two" : "one"}
            d={`${outline(side)}L100,100Z`}
          />
        ))}
      </svg>
      <div className="distribution-axis" aria-hidden="true">
        {ticks(from, to).map((tick) => (
          <span key={tick} style={{ left: `${at(tick)}%` }}>
            {milliseconds(tick)}
          </span>
        ))}
      </div>
      <figcaption>
        Share of requests by response time; the highest step holds {percent(found.highest)}. The axis doubles,
        it does not count.
      </figcaption>
    </figure>
  );
}
