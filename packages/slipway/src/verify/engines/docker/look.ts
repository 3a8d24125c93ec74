/** How what runs in a container is seen without a program of its image; `../engine.ts` says what each means. */
import type {
  ContainerFiles,
  ContainerProcess,
  InsideRequest,
  InsideResponse,
  ListeningSocket,
  ReachResult,
  Unseen,
} from "../engine.ts";

export interface Look {
  files(): Promise<ContainerFiles | Unseen>;
  processes(): Promise<readonly ContainerProcess[] | Unseen>;
  sockets(): Promise<readonly ListeningSocket[] | Unseen>;
  http(request: InsideRequest): Promise<InsideResponse | Unseen>;
  reach(host: string, port: number, timeoutMs: number): Promise<ReachResult | Unseen>;
  resolve(name: string, timeoutMs: number): Promise<readonly string[] | Unseen>;
  /** Commands that it executed in the container. */
  readonly execs: number;
  close(): void;
}

/** Of containers of another machine nothing can be seen this way. `whose`: "the engine at … runs on another machine". */
export function remoteLook(whose: string): Look {
  const unseen: Unseen = {
    unseen: `${whose}, and what is in its containers is read from /proc`,
    remedy: "Run the checks where the engine runs, or use --engine sandbox.",
  };
  const never = (): Promise<Unseen> => Promise.resolve(unseen);
  return {
    files: never,
    processes: never,
    sockets: never,
    http: never,
    reach: never,
    resolve: never,
    execs: 0,
    close: () => {},
  };
}
