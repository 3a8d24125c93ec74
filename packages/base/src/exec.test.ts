import assert from "node:assert/strict";
import { test } from "node:test";
import { exec, shellLine } from "./exec.ts";

test("a program's end is returned, whatever it was", async () => {
  const script = 'process.stdin.pipe(process.stdout); process.stderr.write("oops"); process.exitCode = 3;';
  const result = await exec([process.execPath, "-e", script], { input: "hello" });
  assert.deepEqual(result, { exitCode: 3, signal: undefined, stdout: "hello", stderr: "oops" });
  const killed = await exec([process.execPath, "-e", 'process.kill(process.pid, "SIGKILL")']);
  assert.equal(killed.signal, "SIGKILL");
});

test("a program that does not exist is one clear error", async () => {
  await assert.rejects(exec(["no-such-program-here"]), {
    code: "EXEC_NOT_FOUND",
    where: "no-such-program-here",
    exitCode: 3,
  });
});

test("a command line can be pasted into a shell", () => {
  assert.equal(
    shellLine(["kubectl", "get", "pods", "-l", "app=web", "it's here", ""]),
    "kubectl get pods -l app=web 'it'\\''s here' ''",
  );
});
