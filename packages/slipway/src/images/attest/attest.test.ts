import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { buildImages } from "../build.ts";
import { bytesEntry } from "../layer-entry.ts";
import { writeLayer } from "../layer-writer.ts";
import { ImageFiles } from "../layers.ts";
import { ImageLayout } from "../layout.ts";
import type { ImageManifest } from "../oci.ts";
import { createRegistryClient } from "../registry/client.ts";
import { startRegistry } from "../registry/registry.ts";
import { attachedTo } from "./attach.ts";
import { billFor, SBOM_TYPE } from "./bill.ts";
import { listPackages, packageUrl } from "./packages.ts";
import { PROVENANCE_TYPE, provenance } from "./provenance.ts";
import { billOfMaterials } from "./sbom.ts";

let folder: string;
let layout: ImageLayout;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-attest-"));
  layout = await ImageLayout.open(join(folder, "layout"));
});
after(() => rm(folder, { recursive: true, force: true }));

async function filesOf(files: Readonly<Record<string, string>>): Promise<ImageFiles> {
  const entries = Object.entries(files).map(([path, text]) => bytesEntry(path, text));
  const layer = await writeLayer(layout, entries, { mtime: 0, compression: "gzip" });
  return ImageFiles.open(layout, { layers: [layer.descriptor] });
}

const DEBIAN = {
  "etc/os-release": 'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="12"\n',
  "var/lib/dpkg/status": `Package: curl
Status: install ok installed
Architecture: amd64
Version: 7.88.1-10+deb12u5
Description: x
 more: lines

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 1:2024a
`,
  "var/lib/dpkg/status.d/libc6": "Package: libc6\nVersion: 2.36\nArchitecture: amd64\n",
  "var/lib/dpkg/status.d/libc6.md5sums": "Package: no\nVersion: 0\n",
  "app/node_modules/@scope/a/package.json": '{"name":"@scope/a","version":"1.0.0","license":"MIT"}',
  "app/node_modules/b/package.json": '{"name":"b","version":"2.0.0","license":"SEE LICENSE IN x"}',
  "app/node_modules/b/node_modules/@scope/a/package.json":
    '{"name":"@scope/a","version":"1.0.0","license":"MIT"}',
  "app/node_modules/b/lib/package.json": '{"name":"part","version":"9"}',
  "app/node_modules/.package-lock.json": "{}",
  "app/package.json": '{"name":"app","version":"0"}',
};

test("packages of dpkg, distroless and npm, without what is not installed", async () => {
  const list = await listPackages(await filesOf(DEBIAN));
  assert.deepEqual(
    list.packages.map((one) => packageUrl(one, list.distribution)),
    [
      "pkg:deb/debian/curl@7.88.1-10%2Bdeb12u5?arch=amd64&distro=debian-12",
      "pkg:deb/debian/libc6@2.36?arch=amd64&distro=debian-12",
      "pkg:deb/debian/tzdata@1:2024a?arch=all&distro=debian-12",
      "pkg:npm/%40scope/a@1.0.0",
      "pkg:npm/%40scope/a@1.0.0",
      "pkg:npm/b@2.0.0",
    ],
  );
});

test("packages of apk, and a database that nobody here can read is named", async () => {
  const list = await listPackages(
    await filesOf({
      "etc/os-release": "ID=alpine\nVERSION_ID=3.20.1\n",
      "lib/apk/db/installed":
        "C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\n\nP:busybox\nV:1.36.1-r29\nA:x86_64\n\n",
      "var/lib/rpm/rpmdb.sqlite": "x",
    }),
  );
  assert.deepEqual(
    list.packages.map((one) => packageUrl(one, list.distribution)),
    [
      "pkg:apk/alpine/busybox@1.36.1-r29?arch=x86_64&distro=alpine-3.20.1",
      "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.1",
    ],
  );
  assert.deepEqual(list.unread, ["/var/lib/rpm/rpmdb.sqlite"]);
});

test("a bill of materials: one component for each package, the same bytes each time", async () => {
  const list = await listPackages(await filesOf(DEBIAN));
  const image = { name: "shop/web", digest: `sha256:${"a".repeat(64)}`, created: "2023-11-14T22:13:20.000Z" };
  const bytes = billOfMaterials(image, list);
  assert.deepEqual(bytes, billOfMaterials(image, list));
  const bom = JSON.parse(bytes.toString("utf8"));
  assert.equal(bom.bomFormat, "CycloneDX");
  assert.equal(bom.specVersion, "1.6");
  assert.equal(bom.metadata.timestamp, "2023-11-14T22:13:20.000Z");
  assert.deepEqual(
    [bom.metadata.component.type, bom.metadata.component.version],
    ["container", image.digest],
  );
  assert.deepEqual(
    bom.components.map((one: { type: string; group?: string; name: string; version: string }) =>
      [one.type, one.group, one.name, one.version].filter(Boolean).join(" "),
    ),
    [
      "operating-system debian 12",
      "library curl 7.88.1-10+deb12u5",
      "library libc6 2.36",
      "library tzdata 1:2024a",
      "library @scope a 1.0.0",
      "library b 2.0.0",
    ],
  );
  const scoped = bom.components.find((one: { name: string }) => one.name === "a");
  assert.deepEqual(scoped.licenses, [{ expression: "MIT" }]);
  assert.equal(scoped.properties.length, 2, "both places");
  const refs = [bom.metadata.component, ...bom.components].map((one) => one["bom-ref"]);
  assert.equal(new Set(refs).size, refs.length);
});

test("provenance: source, base and what was asked for, but no values of arguments and secrets", () => {
  const statement = provenance({
    image: "web",
    digest: `sha256:${"1".repeat(64)}`,
    from: {
      kind: "context",
      context: "/src/web",
      dockerfile: "/src/web/Dockerfile",
      args: { TOKEN: "private" },
      secrets: { npmrc: { file: "/home/me/.npmrc" } },
    },
    root: "/src",
    source: "https://example.com/team/shop",
    revision: "abc",
    base: { name: "docker.io/library/node:22", digest: `sha256:${"2".repeat(64)}` },
    builder: "docker 28.2.2",
  });
  assert.equal(statement.includes("private"), false);
  assert.equal(statement.includes("/home/me"), false);
  assert.deepEqual(JSON.parse(statement.toString("utf8")), {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: "web", digest: { sha256: "1".repeat(64) } }],
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: "https://slipway.dev/build/v1",
        externalParameters: {
          context: "web",
          dockerfile: "web/Dockerfile",
          args: ["TOKEN"],
          secrets: ["npmrc"],
        },
        resolvedDependencies: [
          { uri: "git+https://example.com/team/shop", digest: { gitCommit: "abc" } },
          { uri: "docker-image://docker.io/library/node:22", digest: { sha256: "2".repeat(64) } },
        ],
      },
      runDetails: { builder: { id: "https://slipway.dev/builder/docker/28.2.2" } },
    },
  });
});

test("both are attached in the layout, pushed, and listed by the registry as referrers; a rebuild adds nothing", async () => {
  const root = join(folder, "project");
  for (const [path, text] of Object.entries({
    Dockerfile: "FROM scratch\nCOPY root /\n",
    ...prefixed(DEBIAN),
  })) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const build = async (): Promise<string> => {
    const [image] = await buildImages({
      images: [
        {
          name: "web",
          from: { kind: "context", context: root, dockerfile: join(root, "Dockerfile"), args: {} },
        },
      ],
      layout,
      registry: createRegistryClient(),
      root,
      commitTimeMs: 1_700_000_000_000,
      revision: "abc",
      source: "https://example.com/team/shop",
      isLocal: true,
      allowHostBases: [],
    });
    return image?.digest ?? "";
  };
  const digest = await build();
  const attached = await attachedTo(layout, "web", digest);
  assert.deepEqual(
    attached.map(({ artifactType }) => artifactType).sort(),
    [SBOM_TYPE, PROVENANCE_TYPE].sort(),
  );
  assert.equal(await build(), digest);
  assert.deepEqual(await attachedTo(layout, "web", digest), attached);

  const registry = await startRegistry({ directory: join(folder, "registry"), port: 0 });
  const client = createRegistryClient();
  try {
    const image = await layout.resolve("web", digest);
    assert.ok(image !== undefined);
    await client.push(layout, image, `${registry.host}/shop/web:v1`);
    for (const document of attached)
      await client.push(layout, document, `${registry.host}/shop/web@${document.digest}`);
    const response = await fetch(
      `${registry.url}/v2/shop/web/referrers/${digest}?artifactType=${encodeURIComponent(SBOM_TYPE)}`,
    );
    const { manifests } = (await response.json()) as {
      manifests: { digest: string; artifactType: string }[];
    };
    assert.deepEqual(
      manifests.map(({ artifactType }) => artifactType),
      [SBOM_TYPE],
    );
    const manifest = await layout.readJson<ImageManifest>(manifests[0]?.digest ?? "");
    const bom = await layout.readJson<{ components: readonly unknown[] }>(manifest.layers[0]?.digest ?? "");
    assert.equal(bom.components.length, 6);
  } finally {
    await client.close();
    await registry.close();
  }
});

const prefixed = (files: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([path, text]) => [`root/${path}`, text]));

test("a bill that is made from the last one is the bill that would be made anew", async () => {
  const lists = [
    await listPackages(await filesOf(DEBIAN)),
    await listPackages(await filesOf({ "a.txt": "a" })),
  ];
  for (const list of lists) {
    for (const [position, created] of ["2026-01-02T03:04:05Z", undefined, "2026-01-02T03:04:06Z"].entries()) {
      const image = { name: "shop/web", digest: `sha256:${`${position}a`.repeat(32)}`, created };
      const expected = billOfMaterials(image, list).toString("utf8");
      for (const time of ["made", "kept"])
        assert.equal((await billFor(layout, image, list)).toString("utf8"), expected, time);
    }
  }
});
