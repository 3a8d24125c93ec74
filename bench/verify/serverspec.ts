/** Serverspec with its docker backend (Debian's ruby-serverspec and ruby-docker-api), as its documentation has it. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "../../packages/base/src/index.ts";
import { SERVER_CONF } from "../../packages/slipway/src/verify/mutations/bases.ts";

const HEAD = `require "serverspec"
require "docker"
set :backend, :docker
set :docker_image, ENV["SPEC_IMAGE"]
`;

/** 9 on one file, 4 on others, 3 on accounts, 2 on packages, 2 commands. */
export const TWENTY = `${HEAD}
describe file("/app/server.conf") do
  it { should exist }
  it { should be_file }
  it { should be_mode 644 }
  it { should be_owned_by "root" }
  its(:content) { should match(/listen 8080/) }
  its(:content) { should match(/proxy_pass/) }
  its(:content) { should_not match(/debug/) }
  its(:size) { should < 1000 }
  it { should be_readable }
end
describe(file("/app/tool")) { it { should be_executable } }
describe(file("/app/data")) { it { should be_directory } }
describe(file("/app/current")) { it { should be_linked_to "/app/server.conf" } }
describe(file("/app/.env")) { it { should_not exist } }
describe user("app") do
  it { should exist }
  it { should have_uid 1000 }
end
describe(group("staff")) { it { should exist } }
describe(package("nginx-light")) { it { should be_installed } }
describe(package("telnet")) { it { should_not be_installed } }
describe(command("/app/tool")) { its(:stdout) { should match(/tool 1.2/) } }
describe(command("echo $PORT")) { its(:stdout) { should match(/8080/) } }
`;

const conf = (matcher: string): string => `describe(file("/app/server.conf")) { ${matcher} }`;

/** The checks of the corpus that it has a resource for, by the corpus's names. */
const CHECKS: Readonly<Record<string, string>> = {
  "conf exists": conf("it { should exist }"),
  "conf is a file": conf("it { should be_file }"),
  "conf mode": conf("it { should be_mode 644 }"),
  "conf owner": conf('it { should be_owned_by "root" }; it { should be_grouped_into "root" }'),
  "conf has backend": conf("its(:content) { should match(/proxy_pass http:\\/\\/backend1/) }"),
  "conf lacks debug": conf("its(:content) { should_not match(/debug/) }"),
  "conf size": conf(`its(:size) { should <= 200 }`),
  "no env file": 'describe(file("/app/.env")) { it { should_not exist } }',
  "data is a folder": 'describe(file("/app/data")) { it { should be_directory } }',
  "data mode": 'describe(file("/app/data")) { it { should be_mode 750 } }',
  "data owner":
    'describe(file("/app/data")) { it { should be_owned_by "app" }; it { should be_grouped_into "app" } }',
  "state group": 'describe(file("/app/data/state")) { it { should be_grouped_into "staff" } }',
  "current links": 'describe(file("/app/current")) { it { should be_linked_to "/app/server.conf" } }',
  "tool is executable": 'describe(file("/app/tool")) { it { should be_executable } }',
  "user exists": `describe user("app") do
    it { should exist }
    it { should have_uid 1000 }
    it { should have_home_directory "/app" }
    it { should have_login_shell "/bin/sh" }
  end`,
  "user groups":
    'describe(user("app")) { it { should belong_to_group "staff" }; it { should belong_to_primary_group "app" } }',
  "no second root": 'describe(user("toor")) { it { should_not exist } }',
  "group exists": 'describe(group("staff")) { it { should exist }; it { should have_gid 50 } }',
  "no docker group": 'describe(group("docker")) { it { should_not exist } }',
  "nginx installed": 'describe(package("nginx-light")) { it { should be_installed } }',
  "no telnet": 'describe(package("telnet")) { it { should_not be_installed } }',
  "listening 8080": "describe(port(8080)) { it { should be_listening } }",
  "no telnet port": "describe(port(23)) { it { should_not be_listening } }",
  "httpd running": 'describe(process("httpd")) { it { should be_running } }',
  "no nc running": 'describe(process("nc")) { it { should_not be_running } }',
  "tool prints":
    'describe(command("/app/tool")) { its(:stdout) { should match(/tool 1\\.2/) }; its(:exit_status) { should eq 0 } }',
  "shell line": 'describe(command("echo $PORT; pwd")) { its(:stdout) { should match(/8080\\n\\/app/) } }',
  "no nginx command": 'describe(command("nginx -v")) { its(:exit_status) { should eq 127 } }',
  "id is app": 'describe(command("id -u")) { its(:stdout) { should match(/^1000$/) } }',
};

if (Buffer.byteLength(SERVER_CONF) > 200) throw new Error("conf size: the corpus has another limit");

export const SERVERSPEC_NAMES: readonly string[] = Object.keys(CHECKS);

const CORPUS = `${HEAD}
${Object.entries(CHECKS)
  .map(([name, text]) => `describe ${JSON.stringify(`${name} ::`)} do\n  ${text}\nend`)
  .join("\n")}
`;

export async function hasServerspec(): Promise<boolean> {
  const asked = 'command -v rspec && ruby -e \'require "serverspec"; require "docker"\'';
  return (await exec(["sh", "-c", asked])).exitCode === 0;
}

interface Example {
  readonly full_description: string;
  readonly status: "passed" | "failed" | "pending";
}

/** Examples as rspec reports them; empty when it ended before the first. */
export async function runServerspec(
  what: "twenty" | "corpus",
  image: string,
  folder: string,
): Promise<{ readonly examples: readonly Example[]; readonly tookMs: number; readonly text: string }> {
  const spec = join(folder, `${what}_spec.rb`);
  const report = join(folder, "rspec.json");
  await writeFile(spec, what === "twenty" ? TWENTY : CORPUS);
  await rm(report, { force: true });
  const startedAt = performance.now();
  const result = await exec(["rspec", "--format", "json", "--out", report, spec], {
    env: { ...process.env, SPEC_IMAGE: image },
  });
  const tookMs = performance.now() - startedAt;
  const json = await readFile(report, "utf8").catch(() => "{}");
  const { examples = [] } = JSON.parse(json) as { examples?: readonly Example[] };
  return { examples, tookMs, text: result.stdout + result.stderr };
}

/** Whether each check of the corpus passed: when all its examples did. */
export function passedChecks(examples: readonly Example[]): ReadonlySet<string> {
  const passed = SERVERSPEC_NAMES.filter((name) => {
    const own = examples.filter(({ full_description: text }) => text.startsWith(`${name} :: `));
    return own.length > 0 && own.every(({ status }) => status === "passed");
  });
  return new Set(passed);
}
