/** Broken images whose server runs, and does it wrong, or does not run at all. */
import { START } from "./bases.ts";
import { DEAD, NOT_SERVING, type OfBase, start, UNSEEN } from "./mutation.ts";

/** What is there before the server is, so that nobody can look in between. httpd without -f returns when it listens. */
const besides = (lines: string): string =>
  START.replace("echo ready to serve\n", `echo ready to serve\n${lines}`);

export const RUNNING: readonly OfBase[] = [
  {
    name: "ps, netstat and cat are gone",
    isAboutRunning: true,
    damage: { remove: ["bin/ps", "bin/netstat", "bin/cat", "bin/ls", "bin/grep"] },
    untrue: [],
  },
  {
    name: "ps and netstat are gone while telnet is open",
    damage: {
      remove: ["bin/ps", "bin/netstat", "bin/cat"],
      ...start(besides("nc -l -p 2323 &\n/bin/httpd -p 9023 -h /app/www\n")),
    },
    untrue: ["only 8080", "one httpd", "no nc running"],
  },
  {
    name: "the start script is gone",
    damage: { remove: ["app/start"] },
    untrue: ["command exists", ...DEAD, "log ready"],
    unprovable: UNSEEN,
  },
  {
    name: "the start script may not be run",
    damage: { put: [{ path: "app/start", text: START, mode: 0o644 }] },
    untrue: ["command exists", ...DEAD, "log ready"],
    unprovable: UNSEEN,
  },
  {
    name: "the start script has the line ends of Windows",
    damage: start(START.replaceAll("\n", "\r\n")),
    untrue: ["command exists", ...DEAD, "log ready"],
    unprovable: UNSEEN,
  },
  {
    name: "the start script does not say what runs it",
    damage: start(START.replace("#!/bin/sh\n", "")),
    untrue: ["command exists", ...DEAD, "log ready", "log no error"],
    unprovable: UNSEEN,
  },
  {
    name: "the shell is gone",
    damage: { remove: ["bin/sh"] },
    untrue: ["command exists", ...DEAD, "log ready", "tool prints", "shell line"],
    unprovable: [...UNSEEN, "no nginx command"],
  },
  { name: "the server is gone", damage: { remove: ["bin/httpd"] }, untrue: DEAD, unprovable: UNSEEN },
  {
    name: "the server listens on another port",
    damage: start(START.replace("8080", "9090")),
    untrue: ["listening 8080", "only 8080", "http page", "http lacks stack"],
  },
  {
    name: "a second port is open",
    damage: start(besides("/bin/httpd -p 9090 -h /app/www\n")),
    untrue: ["only 8080", "one httpd"],
  },
  {
    name: "it ends at once",
    damage: start("#!/bin/sh\necho error: no database >&2\nexit 3\n"),
    untrue: [...DEAD, "log ready", "log no error"],
    unprovable: UNSEEN,
  },
  {
    name: "it ends at once and well",
    damage: start("#!/bin/sh\necho ready to serve\n"),
    untrue: DEAD,
    unprovable: UNSEEN,
  },
  {
    name: "it starts nothing",
    damage: start("#!/bin/sh\ntrap 'exit 0' TERM\necho ready to serve\nsleep 1000 &\nwait\n"),
    untrue: NOT_SERVING,
  },
  {
    name: "PID 1 ignores SIGTERM",
    damage: start(START.replace("'kill $!; exit 0'", "''")),
    untrue: ["stops"],
  },
  {
    name: "PID 1 is the server itself",
    damage: start("#!/bin/sh\necho ready to serve\nexec /bin/httpd -f -p 8080 -h /app/www\n"),
    untrue: ["pid 1 is start"],
    unprovable: ["stops"],
  },
  {
    name: "it logs an error",
    damage: start(besides("echo error: disk full >&2\n")),
    untrue: ["log no error"],
  },
  {
    name: "it says nothing",
    damage: start(START.replace("echo ready to serve\n", "")),
    untrue: ["log ready"],
  },
  {
    name: "the page is gone",
    damage: { remove: ["app/www/index.html"] },
    untrue: ["http page", "http lacks stack"],
  },
  {
    name: "the page shows a stack trace",
    damage: { put: [{ path: "app/www/index.html", text: "stack trace: at x\n" }] },
    untrue: ["http page", "http lacks stack"],
  },
  {
    name: "the tool prints another version",
    damage: { put: [{ path: "app/tool", text: "#!/bin/sh\necho tool 2.0\n", mode: 0o755 }] },
    untrue: ["tool prints"],
  },
  {
    name: "the tool fails after its output",
    damage: { put: [{ path: "app/tool", text: "#!/bin/sh\necho tool 1.2\nexit 1\n", mode: 0o755 }] },
    untrue: ["tool prints"],
  },
  {
    name: "nginx is a command",
    damage: { put: [{ path: "bin/nginx", text: "#!/bin/sh\n", mode: 0o755 }] },
    untrue: ["no nginx command"],
  },
];
