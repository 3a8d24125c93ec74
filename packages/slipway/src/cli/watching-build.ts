/** `slipway build --watch`: a round for each change, and one for who asks for the same build beside it. */
import { join } from "node:path";
import type { Config } from "../config/types.ts";
import { serveAnswers } from "./answer-server.ts";
import { type Asker, BuildAnswers, type Stream } from "./build-answers.ts";
import { sameConfig, unfinishedIndex, watchedSources } from "./build-watch.ts";
import { type CliContext, type CommandInput, isSet } from "./command.ts";
import { headLog, indexFile, stayWithGit } from "./git.ts";
import { type Project, type Sources, shippableSources } from "./project.ts";
import { type Beside, runOnChange } from "./run-on-change.ts";
import { outputOf } from "./steps.ts";

export async function watchAndBuild(
  context: CliContext,
  input: CommandInput,
  project: Project,
  build: (context: CliContext, looking: Promise<Sources>) => Promise<number>,
): Promise<number> {
  const { root, images } = project.config;
  const config = sameConfig(root, project.resolved.file); // soon: what counts was read just now
  // git would lock its index to write down what it saw, and the `git checkout` of a person would fail (git-status, Background Refresh).
  const env = { ...context.env, GIT_OPTIONAL_LOCKS: "0" };
  const beside = { ...context, env };
  const git = await stayWithGit(root, env);
  // While a round asks git its own shell is busy, and to start another takes longer than what is asked.
  const asking = { ...context, env: { ...env } };
  const gitOfAsking = await stayWithGit(root, asking.env);
  const [log, index] = await Promise.all([headLog(root, env), indexFile(root, env)]);
  const watched = () => [...watchedSources(images, log), ...unfinishedIndex(index), { path: config.path }];
  const isJson = isSet(input, "json");
  const output = outputOf(context, isJson);

  let again = (): void => {};
  const answers = new BuildAnswers({
    clock: context.clock,
    signal: context.signal,
    isJson,
    look: () => saidIn(shippableSources(asking, input, project.config), images),
    again: () => again(),
  });
  const server = await serveAnswers({
    file: join(project.paths.root, "build", "watch"),
    refusal: config.whyOther,
    onAsked: (asker: Asker) => void answers.ask(asker),
    onRefused(why) {
      output.emit({ kind: "unanswered", why });
      output.say(`  a build was asked for beside this one, and builds by itself: ${why}`);
    },
  });
  let looking: Promise<Sources> | undefined;
  const rounds: Beside = {
    begin(round) {
      config.check();
      looking = shippableSources(beside, input, project.config);
      answers.begin(round, saidIn(looking, images)); // a rejection counts where it is awaited
    },
    onAgain(given) {
      again = given;
    },
    onNoRun: () => answers.leave(),
  };
  try {
    return await runOnChange(
      context,
      output,
      watched,
      async () => {
        await server?.stay();
        return answers.run((say) => build(heardBy(beside, say), looking as Promise<Sources>));
      },
      rounds,
    );
  } finally {
    await server?.close();
    git.close();
    gitOfAsking.close();
  }
}

/** All that git said of them; undefined where that may not be built. */
async function saidIn(looking: Promise<Sources>, images: Config["images"]): Promise<unknown> {
  try {
    const { history, ...said } = await looking;
    const contexts = images.flatMap(({ from }) => (from.kind === "context" ? [from.context] : []));
    return { ...said, ignored: await Promise.all(contexts.map(history.ignored)) };
  } catch {
    return undefined;
  }
}

/** What is written is written here, and said to those who asked. */
function heardBy(context: CliContext, say: (stream: Stream, text: string) => void): CliContext {
  return {
    ...context,
    write(text) {
      context.write(text);
      say(1, text);
    },
    writeError(text) {
      context.writeError(text);
      say(2, text);
    },
  };
}
