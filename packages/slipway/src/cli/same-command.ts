/**
 * Whether another process was started for what this one does: the words of its command, where it runs and its environment, as
 * Linux tells them of a process of the same user (proc_pid_cmdline(5), proc_pid_cwd(5), proc_pid_environ(5)).
 */
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

export interface StartedCommand {
  /** Of the program's file: device, inode, size, times. Another one is another Slipway, or one that was installed since. */
  readonly program: string;
  /** After the program. */
  readonly words: readonly string[];
  readonly cwd: string;
  /** As the process was started with. */
  readonly env: ReadonlyMap<string, string>;
}

/** Undefined where there is no such process of this user's, it is none of ours, or the system does not say. */
export function readCommand(pid: number | "self"): StartedCommand | undefined {
  const about = `/proc/${pid}`;
  try {
    if (statSync(about).uid !== process.getuid?.()) return undefined;
    const line = stringsIn(readFileSync(`${about}/cmdline`, "utf8"));
    const at = line.findIndex((word) => word.endsWith(`/${PROGRAM}`));
    if (at < 0) return undefined;
    const { dev, ino, size, mtimeMs, ctimeMs } = statSync(line[at] as string);
    const pairs = stringsIn(readFileSync(`${about}/environ`, "utf8")).map((text): [string, string] => {
      const end = text.indexOf("=");
      return [text.slice(0, end), text.slice(end + 1)];
    });
    return {
      program: [dev, ino, size, mtimeMs, ctimeMs].join(),
      words: line.slice(at + 1),
      cwd: readlinkSync(`${about}/cwd`),
      env: new Map(pairs),
    };
  } catch {
    return undefined;
  }
}

/** What bin/slipway starts, and names to bin/ask.bash. */
const PROGRAM = "start.mjs";

const stringsIn = (text: string): readonly string[] => text.split("\0").slice(0, -1);

/** Says which terminal it is, what a shell or make (GNU) keeps for itself, and which script of npm's runs: nothing that a build reads. */
const OF_CALLERS = new RegExp(
  `^(${[
    "_|PWD|OLDPWD|SHLVL|COLUMNS|LINES|TERM|COLORTERM|COLORFGBG|TERM_(PROGRAM|SESSION)\\w*|SHELL_SESSION_ID|XDG_SESSION_ID",
    "WINDOWID|VTE_VERSION|(KITTY|WEZTERM|ALACRITTY|KONSOLE|ITERM|GNOME_TERMINAL|VSCODE)_\\w+|STY|WINDOW|(TMUX|ZELLIJ)\\w*",
    "SSH_(TTY|CLIENT|CONNECTION)|GPG_TTY|MAKE(FLAGS|LEVEL|_TERM(OUT|ERR))|MFLAGS|npm_(command|lifecycle_(event|script))",
  ].join("|")})$`,
);

/** What differs, for a person; undefined where it is the same command. */
export function difference(own: StartedCommand, other: StartedCommand): string | undefined {
  if (own.program !== other.program) return "it runs another Slipway";
  if (own.cwd !== other.cwd) return `it runs in ${other.cwd}`;
  if (other.words.includes("--watch")) return "it watches, too";
  const words = own.words.filter((word) => word !== "--watch");
  if (!isDeepStrictEqual(words, other.words)) return "its options differ";
  for (const name of new Set([...own.env.keys(), ...other.env.keys()]))
    if (own.env.get(name) !== other.env.get(name) && !OF_CALLERS.test(name)) return `its ${name} differs`;
  return undefined;
}
