/** What a simulated container does, as data. Nothing runs; only the outside of it can be seen. */
export interface Behaviour {
  /** From start to running, as a pull and a start would take. */
  readonly startMs?: number;
  /** Dials are refused and HTTP answers 503 until this long after the start. */
  readonly readyAfterMs?: number;
  /** Ends by itself after this long with `exitCode`; runs for ever without it. */
  readonly exitAfterMs?: number;
  readonly exitCode?: number;
  /** How long it takes to end after its stop signal; `never` waits for SIGKILL. Default 0. */
  readonly stopMs?: number | "never";
  /** What `exec` answers; default 0. */
  readonly execExitCode?: number;
  /** The start is refused with this reason and message (`ErrImagePull`, `CreateContainerError`, …). */
  readonly refusal?: { readonly reason: string; readonly message: string };
  /** Lines on standard output at the start. */
  readonly log?: readonly string[];
}

/** The first row whose image matches wins; `*` stands for any text. */
export type Behaviours = readonly { readonly image: string; readonly behaviour: Behaviour }[];

/**
 * Behaviours that an image's own name asks for, so that a plain manifest can show each fate without any setup.
 * They are looked up after the caller's rows.
 */
export const namedBehaviours: Behaviours = [
  {
    image: "simulated/crash*",
    behaviour: {
      exitAfterMs: 10,
      exitCode: 1,
      readyAfterMs: Number.POSITIVE_INFINITY,
      log: ["simulated crash"],
    },
  },
  { image: "simulated/job*", behaviour: { exitAfterMs: 10, exitCode: 0 } },
  {
    image: "simulated/missing*",
    behaviour: { refusal: { reason: "ErrImagePull", message: "simulated: no such image" } },
  },
  { image: "simulated/unready*", behaviour: { readyAfterMs: Number.POSITIVE_INFINITY } },
  { image: "simulated/stubborn*", behaviour: { stopMs: "never" } },
];

export function behaviourOf(image: string, behaviours: Behaviours): Behaviour {
  return behaviours.find((row) => matches(row.image, image))?.behaviour ?? {};
}

function matches(pattern: string, image: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(image);
}
