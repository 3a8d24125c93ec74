import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import { FolderWatch, type Watched } from "./folder-watch.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-folder-watch-"));
  await chmod(folder, 0o755);
});
after(() => rm(folder, { recursive: true, force: true }));

const at = (path: string): string => join(folder, path);
const write = (path: string, text = "x"): Promise<void> => writeFile(at(path), text);

/**
 * `work` with what is watched: a way to wait for the next change, after which the watch is made anew, as `runOnChange` does, and
 * all that was heard so far, relative to the folder.
 */
async function watching(
  watched: readonly Watched[],
  work: (
    hears: (what: string, change: () => Promise<unknown>) => Promise<void>,
    heard: readonly string[],
  ) => Promise<void>,
): Promise<void> {
  const heard: string[] = [];
  const make = (): FolderWatch => new FolderWatch(watched, (path) => heard.push(relative(folder, path)));
  let watch = make();
  const hears = async (what: string, change: () => Promise<unknown>): Promise<void> => {
    const before = heard.length;
    await change();
    await until(what, () => heard.length > before);
    watch.close();
    watch = make();
  };
  try {
    await work(hears, heard);
  } finally {
    watch.close();
  }
}

test("files that come, change and go are told of, in new folders too, and in one that replaced another", async () => {
  await mkdir(at("web/src"), { recursive: true });
  await watching([{ path: at("web") }], async (hears) => {
    await hears("a new file", () => write("web/a"));
    await hears("a change", () => write("web/a", "y"));
    await hears("a change below", () => write("web/src/b"));
    await hears("a new folder", () => mkdir(at("web/new/deep"), { recursive: true }));
    await hears("a file in the new folder", () => write("web/new/deep/c"));
    await mkdir(at("web2/inner"), { recursive: true });
    await hears("a folder that comes from elsewhere", () => rename(at("web2"), at("web/moved")));
    await hears("a file below it", () => write("web/moved/inner/d"));
    await hears("a folder that goes", () => rm(at("web/new"), { recursive: true }));
    await hears("the same name again", () => mkdir(at("web/new")));
    await hears("a file in that", () => write("web/new/e"));
    await hears("a file that goes", () => rm(at("web/a")));
  });
});

test("what does not count is not told of: git's and Slipway's folders, and what is out", async () => {
  for (const name of ["shop/.git", "shop/.slipway", "shop/logs", "shop/src"])
    await mkdir(at(name), { recursive: true });
  const isOut = (path: string): boolean => /^logs(\/|$)|\.log$/.test(path);
  await watching([{ path: at("shop"), isOut }], async (hears, heard) => {
    for (const name of [".git/index", ".slipway/state", "logs/a", "debug.log"]) await write(`shop/${name}`);
    // The system tells in the order in which it happened.
    await hears("what counts", () => write("shop/src/a"));
    assert.deepEqual([...new Set(heard)], ["shop/src/a"]);
  });
});

test("a folder counts with an exception in it, and is nothing itself", async () => {
  for (const name of ["some/out/kept", "some/gone"]) await mkdir(at(name), { recursive: true });
  const isOut = (path: string, isFolder: boolean): boolean => !isFolder && path !== "out/kept/a";
  await watching([{ path: at("some"), isOut }], async (hears, heard) => {
    await write("some/out/b");
    await hears("what is kept", () => write("some/out/kept/a"));
    assert.deepEqual([...new Set(heard)], ["some/out/kept/a"]);
    await hears("a folder that goes with what may be kept", () => rm(at("some/gone"), { recursive: true }));
  });
});

test("a link may lead to what is watched, and what is out there is out", async () => {
  await mkdir(at("real/src"), { recursive: true });
  await symlink("real", at("link"));
  const isOut = (path: string): boolean => path === "out";
  await watching([{ path: at("link"), isOut }], async (hears, heard) => {
    await mkdir(at("real/out"));
    await hears("what counts", () => write("real/src/a"));
    assert.deepEqual([...new Set(heard)], ["link/src/a"]);
  });
  await watching([{ path: at("link/Dockerfile") }], async (hears) => {
    await hears("a file behind a link", () => write("real/Dockerfile"));
  });
});

test("a folder that we may not read is no part of it", async (t) => {
  await mkdir(at("open/closed"), { recursive: true });
  await chmod(at("open/closed"), 0o000);
  const isRoot = process.getuid?.() === 0; // who may read all
  try {
    if (isRoot) process.seteuid?.(65_534);
  } catch {
    return t.skip("this user namespace has no other users");
  }
  try {
    assert.throws(() => readdirSync(at("open/closed")), { code: "EACCES" });
    new FolderWatch([{ path: at("open") }], () => {}).close();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test("of a file its neighbours do not count, and it may be replaced, or come later", async () => {
  await mkdir(at("conf"));
  await write("conf/a.ts");
  await watching([{ path: at("conf/a.ts") }, { path: at("conf/later.ts") }], async (hears, heard) => {
    await hears("a change", () => write("conf/a.ts", "y"));
    await write("conf/next");
    await hears("another in its place", () => rename(at("conf/next"), at("conf/a.ts")));
    await hears("a change of that", () => write("conf/a.ts", "z"));
    await hears("one that comes", () => write("conf/later.ts"));
    assert.deepEqual([...new Set(heard)], ["conf/a.ts", "conf/later.ts"]);
  });
});

test("what is watched may come with the folder that it is in, go with it, and come back", async () => {
  const root = at("later/own");
  await watching([{ path: root }, { path: at("later/a.ts") }], async (hears) => {
    for (const round of ["first", "second"]) {
      await hears(`the folder, ${round}`, () => mkdir(root, { recursive: true }));
      await hears(`a file in it, ${round}`, () => write("later/own/web.ts", round));
      await hears(`a file beside it, ${round}`, () => write("later/a.ts", round));
      await hears(`the end, ${round}`, () => rm(at("later"), { recursive: true }));
    }
  });
});

test("it is as good as a new one until a folder comes, goes or is another, or something else is watched", async (t) => {
  const rules = { isOut: (path: string) => path.endsWith(".log"), rules: "*.log" };
  for (const [what, change, isAsGood] of [
    ["a file comes", () => write("kept/new"), true],
    ["a file changes", () => write("kept/a", "other"), true],
    ["a file is replaced", async () => rename(at("beside"), at("kept/a")), true],
    ["a file goes", () => rm(at("kept/a")), true],
    ["a folder comes", () => mkdir(at("kept/more")), false],
    ["a folder comes from elsewhere", () => rename(at("elsewhere"), at("kept/moved")), false],
    ["a folder goes", () => rm(at("kept/src"), { recursive: true }), false],
    ["a folder may be read by others", () => chmod(at("kept/src"), 0o700), false],
    [
      "a file is where a folder was",
      () => rm(at("kept/src"), { recursive: true }).then(() => write("kept/src")),
      false,
    ],
    ["all of it is another", () => rename(at("kept"), at("gone")).then(() => mkdir(at("kept"))), false],
  ] as const)
    await t.test(what, async () => {
      for (const name of ["kept", "gone", "elsewhere", "beside"])
        await rm(at(name), { recursive: true, force: true });
      for (const name of ["kept/src", "elsewhere"]) await mkdir(at(name), { recursive: true });
      for (const name of ["kept/a", "kept/src/b", "beside"]) await write(name);
      let heard = 0;
      const watched = [{ path: at("kept"), ...rules }];
      const watch = new FolderWatch(watched, () => {
        heard += 1;
      });
      try {
        assert.ok(watch.isOf([{ path: at("kept"), ...rules, isOut: () => false }]), "the same rules");
        await change();
        await until("it is told", () => heard > 0);
        // The system tells in the order in which it happened.
        await write("kept/last").catch(() => undefined);
        if (isAsGood) assert.ok(watch.isOf(watched));
        else await until("it is none for this any more", () => !watch.isOf(watched));
      } finally {
        watch.close();
      }
    });
  await t.test("very much happens, of which the system may not have told all", async () => {
    await mkdir(at("kept"), { recursive: true });
    let heard = 0;
    const watched = [{ path: at("kept") }];
    const watch = new FolderWatch(watched, () => {
      heard += 1;
    });
    try {
      while (heard < 1000) {
        assert.ok(watch.isOf(watched));
        const before = heard;
        await write("kept/often", String(heard));
        await until("it is told", () => heard > before);
      }
      assert.equal(watch.isOf(watched), false);
    } finally {
      watch.close();
    }
  });
  const watch = new FolderWatch([{ path: at("kept"), isOut: () => false }], () => {});
  try {
    assert.equal(
      watch.isOf([{ path: at("kept"), isOut: () => false }]),
      false,
      "without rules only itself is the same",
    );
    assert.equal(watch.isOf([]), false);
    assert.equal(watch.isOf([{ path: at("gone") }]), false);
  } finally {
    watch.close();
  }
});

test("a folder above that is another, or a link that leads elsewhere, is seen where it is asked for", async (t) => {
  for (const kind of ["folder", "link"] as const)
    await t.test(kind, async () => {
      const [above, other] = [at(`above-${kind}`), at(`other-${kind}`)];
      for (const name of [`above-${kind}`, `other-${kind}`])
        await mkdir(at(`${name}/own/web`), { recursive: true });
      if (kind === "link") {
        await rename(above, at("first"));
        await symlink("first", above);
      }
      const watched = [{ path: join(above, "own/web") }, { path: join(above, "own/Dockerfile") }];
      const watch = new FolderWatch(watched, () => {});
      try {
        assert.ok(watch.isInPlace());
        assert.ok(watch.isOf(watched));
        if (kind === "folder") await rename(above, at("gone-above"));
        else await rm(above);
        if (kind === "folder") await rename(other, above);
        else await symlink(`other-${kind}`, above);
        assert.equal(watch.isInPlace(), false);
        assert.equal(watch.isOf(watched), false);
      } finally {
        watch.close();
      }
    });
});
