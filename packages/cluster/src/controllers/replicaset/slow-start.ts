/**
 * Slow start: new pods are created in batches of 1, 2, 4, 8, …, and the first batch in which one is refused is the
 * last. When nothing can be created (a full quota, a webhook that is down), 500 wanted pods cost one refused request
 * instead of 500; when all is well, they cost nine steps. As upstream's slowStartBatch.
 */

/** Upstream's SlowStartInitialBatchSize. */
const FIRST_BATCH = 1;

/** The sizes of the batches in which `count` are created: 10 → 1, 2, 4, 3. */
export function slowStartBatches(count: number): readonly number[] {
  const sizes: number[] = [];
  let size = Math.min(count, FIRST_BATCH);
  for (let left = count; size > 0; size = Math.min(2 * size, left)) {
    sizes.push(size);
    left -= size;
  }
  return sizes;
}
