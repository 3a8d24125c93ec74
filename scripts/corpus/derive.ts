/**
 * Makes the recordings that are written by hand: another case's, with the words of what cannot be had on request.
 * `node scripts/corpus/derive.ts`, after those were recorded.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  packRecording,
  parseRecording,
  type Recording,
  readRecording,
} from "../../packages/slipway/src/corpus/recording.ts";

const transients = join(import.meta.dirname, "../../corpus/transients");

interface Derivation {
  readonly id: string;
  readonly from: string;
  /** In each line of JSON. */
  readonly reworded: readonly (readonly [RegExp, string])[];
}

const derivations: readonly Derivation[] = [
  {
    id: "pull-dns-blip",
    from: "pull-500-then-fine",
    // What containerd passes on from Go's resolver.
    reworded: [
      [
        /pulling from host registry\.example failed with status code \[manifests 2\]: 500 Internal Server Error/g,
        'failed to do request: Head \\"https://registry.example/v2/broken-then-fine/web/manifests/2\\": dial tcp: lookup registry.example on 10.0.0.2:53: read udp 10.0.0.9:41000->10.0.0.2:53: i/o timeout',
      ],
    ],
  },
  {
    id: "configmap-cache-late",
    from: "configmap-arrives-late",
    // pkg/kubelet/util/manager/watch_based_manager.go of 1.20.
    reworded: [
      [
        /MountVolume\.SetUp failed for volume \\"settings\\" : configmap \\"settings\\" not found/g,
        'MountVolume.SetUp failed for volume \\"settings\\" : failed to sync configmap cache: timed out waiting for the condition',
      ],
    ],
  },
];

for (const { id, from, reworded } of derivations) {
  const recording = await readRecording(join(transients, from, "recording.jsonl.gz"));
  const derived = reword(recording, id, reworded);
  await writeFile(join(transients, id, "recording.jsonl.gz"), packRecording(derived));
  console.log(`${id}: from ${from}`);
}

function reword(recording: Recording, id: string, words: Derivation["reworded"]): Recording {
  let count = 0;
  const lines = recording.lines.map((line) => {
    let text = JSON.stringify(line);
    for (const [was, is] of words) {
      text = text.replaceAll(was, () => {
        count += 1;
        return is;
      });
    }
    return text;
  });
  if (count === 0)
    throw new Error(`${id}: the recording that it is made of does not hold the words to replace`);
  const header = { ...recording.header, case: id, place: "by-hand" };
  return parseRecording([JSON.stringify(header), ...lines].join("\n"), id);
}
