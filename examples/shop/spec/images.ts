import { describeImage } from "slipway/verify";

for (const name of ["web", "backend1", "backend2"]) {
  describeImage(name, (t) => {
    t.image.runsAsNonRoot().exposes(8080).cmd(["node", "server.mjs"]).noSecretInEnvOrHistory();
    t.file("/app/server.mjs").isFile().mode("0644").ownedBy("root:root");
    t.file("/app/release.txt").exists();
    t.files("**/{.git,.env,.npmrc,id_rsa*}").none();
  });
}
