/** The table of contents of the command line, in the order help shows it. */

import { command as alertsMute } from "./alerts/mute.ts";
import { command as alertsTest } from "./alerts/test.ts";
import { command as alertsUnmute } from "./alerts/unmute.ts";
import { command as alerts } from "./alerts.ts";
import { command as build } from "./build.ts";
import type { CommandDeclaration } from "./command.ts";
import { command as composeDown } from "./compose/down.ts";
import { command as composeUp } from "./compose/up.ts";
import { command as configShow } from "./config/show.ts";
import { command as corpus } from "./corpus.ts";
import { command as dashboard } from "./dashboard.ts";
import { command as deploy } from "./deploy.ts";
import { command as history } from "./history.ts";
import { command as init } from "./init.ts";
import { command as localDown } from "./local/down.ts";
import { command as localKubeconfig } from "./local/kubeconfig.ts";
import { command as localStatus } from "./local/status.ts";
import { command as localUp } from "./local/up.ts";
import { command as lock } from "./lock.ts";
import { command as logsImport } from "./logs/import.ts";
import { command as logs } from "./logs.ts";
import { command as observeInstall } from "./observe/install.ts";
import { command as observePrometheus } from "./observe/prometheus.ts";
import { command as observeStatus } from "./observe/status.ts";
import { command as observeUninstall } from "./observe/uninstall.ts";
import { command as plan } from "./plan.ts";
import { command as push } from "./push.ts";
import { command as queriesList } from "./queries/list.ts";
import { command as queriesRun } from "./queries/run.ts";
import { command as queriesShow } from "./queries/show.ts";
import { command as queriesSql } from "./queries/sql.ts";
import { command as registryGc } from "./registry/gc.ts";
import { command as releaseApprove } from "./release/approve.ts";
import { command as releaseHold } from "./release/hold.ts";
import { command as releaseUnhold } from "./release/unhold.ts";
import { command as rights } from "./rights.ts";
import { command as rollback } from "./rollback.ts";
import { command as serve } from "./serve.ts";
import { command as ship } from "./ship.ts";
import { command as status } from "./status.ts";
import { command as unlock } from "./unlock.ts";
import { command as verify } from "./verify.ts";

export const commands: Readonly<Record<string, CommandDeclaration>> = {
  init,
  ship,
  build,
  verify,
  push,
  plan,
  deploy,
  rollback,
  rights,
  status,
  history,
  logs,
  "logs import": logsImport,
  dashboard,
  alerts,
  "alerts mute": alertsMute,
  "alerts unmute": alertsUnmute,
  "alerts test": alertsTest,
  serve,
  "release approve": releaseApprove,
  lock,
  unlock,
  "release hold": releaseHold,
  "release unhold": releaseUnhold,
  "local up": localUp,
  "local down": localDown,
  "local status": localStatus,
  "local kubeconfig": localKubeconfig,
  "queries list": queriesList,
  "queries show": queriesShow,
  "queries run": queriesRun,
  "queries sql": queriesSql,
  "observe prometheus": observePrometheus,
  "observe install": observeInstall,
  "observe uninstall": observeUninstall,
  "observe status": observeStatus,
  "registry gc": registryGc,
  "compose up": composeUp,
  "compose down": composeDown,
  corpus,
  "config show": configShow,
};

export const groups: Readonly<Record<string, string>> = {
  release: "a release that is going on, or was, and its images",
  local: "the local world: clusters, registry and edge on this machine",
  queries: "named queries over the requests that were stored",
  observe: "what stores logs in clusters that are not local, and what other programs need to watch a service",
  registry: "the registry of the local world",
  compose: "services of a Compose file, without Docker",
  config: "the configuration",
};
