/** Enters a running container: a further process in its namespaces, as whom it runs or as somebody else. */
import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { becomeCommand } from "./become.ts";
import { DRAIN_MS, finished, kill, pump, within } from "./children.ts";
import { type CommandFault, commandFault, execEnvironment } from "./command.ts";
import type { Fifos } from "./fifos.ts";
import type { Container } from "./pod.ts";
import type { AgentConfig, ExecAs } from "./protocol.ts";
import { RootView } from "./root-view.ts";
import { childOf } from "./system.ts";
import { type Identity, resolveIdentity } from "./users.ts";

export interface ExecHandle {
  readonly exitCode: Promise<number>;
  write(data: Uint8Array | undefined): void;
  kill(): void;
}

export interface ExecRequest {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly as: ExecAs;
}

/** Of the agent. */
export interface ExecWith {
  readonly config: AgentConfig;
  readonly fifos: Fifos;
  readonly environment: Readonly<Record<string, string>>;
}

export async function execIn(
  container: Container,
  {
    command,
    stdin,
    as,
  }: { readonly command: readonly string[]; readonly stdin: boolean; readonly as: ExecAs },
  output: (stream: "stdout" | "stderr", data: Buffer) => void,
  { config, fifos, environment: agentEnvironment }: ExecWith,
): Promise<ExecHandle> {
  const root = `/proc/${container.pid}/root`;
  const view = new RootView([root]);
  const identity = as.user === undefined ? container.identity : identityOf(view, as.user);
  const workingDir = as.workingDir ?? container.spec.workingDir;
  const environment = execEnvironment(container, identity, as);
  const fault: CommandFault | undefined =
    view.find(workingDir)?.kind === "directory"
      ? commandFault(view, command, workingDir, environment, config.kernel)
      : { message: `chdir to ${workingDir}: no such directory`, exitCode: 127 };
  if (fault !== undefined) {
    output("stderr", Buffer.from(`${fault.message}\n`));
    return { exitCode: Promise.resolve(fault.exitCode), write: () => {}, kill: () => {} };
  }
  const owner = config.idMode === "one-uid" ? undefined : identity;
  const stdout = await fifos.output(owner);
  const stderr = await fifos.output(owner);
  const input = stdin ? await fifos.input(owner) : undefined;
  const { tools } = config;
  const child = spawn(
    tools.nsenter,
    [
      ...["--target", String(container.pid), "--net", "--uts", "--ipc", "--pid", "--"],
      ...becomeCommand({ tools, idMode: config.idMode, identity, workingDir, environment }),
      ...command,
    ],
    {
      cwd: root,
      env: agentEnvironment,
      detached: true,
      stdio: [input?.readEnd ?? "ignore", stdout.writeEnd, stderr.writeEnd],
    },
  );
  closeSync(stdout.writeEnd);
  closeSync(stderr.writeEnd);
  if (input !== undefined) closeSync(input.readEnd);
  input?.writer.on("error", () => {}); // the command may end without reading its input
  const drained = Promise.all([
    pump(stdout.reader, (chunk) => output("stdout", chunk)),
    pump(stderr.reader, (chunk) => output("stderr", chunk)),
  ]);
  const exitCode = finished(child).then(async (code) => {
    await within(drained, DRAIN_MS);
    for (const socket of [stdout.reader, stderr.reader, input?.writer]) socket?.destroy();
    return code;
  });
  const handle: ExecHandle = {
    exitCode,
    write: (data) => (data === undefined ? input?.writer.end() : input?.writer.write(data)),
    // Never nsenter itself: the command's exit status would then be left to the agent, which as a Node process
    // fetches only its own children's, and a container's namespace does not end while one in it is not fetched.
    kill: () => {
      const inner = child.pid === undefined ? undefined : childOf(child.pid);
      if (inner !== undefined) kill(inner, "SIGKILL");
      else if (child.exitCode === null && child.signalCode === null) setTimeout(handle.kill, 5); // not forked yet
    },
  };
  return handle;
}

function identityOf(view: RootView, user: string): Identity {
  return resolveIdentity(view, { imageUser: user, user: undefined, group: undefined, runAsNonRoot: false });
}
