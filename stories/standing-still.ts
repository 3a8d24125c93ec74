/**
 * Loaded into a program before its own code (`--import`): at a certain point it does nothing more, as a process that gets no
 * processor, until it is killed. So a story can kill it right there, however long the story itself takes to see that it is there.
 */
const { STANDS_STILL_PROGRAM: program, STANDS_STILL_AT: printed = "" } = process.env;

if (program !== undefined && process.argv[1]?.includes(program)) {
  if (printed === "") standStill();
  const { stdout } = process;
  const write = stdout.write.bind(stdout);
  stdout.write = ((...words: Parameters<typeof write>) => {
    const isTaken = write(...words); // at once: it is a pipe (process I/O)
    if (new RegExp(printed, "m").test(String(words[0]))) standStill();
    return isTaken;
  }) as typeof write;
}

function standStill(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

export {};
