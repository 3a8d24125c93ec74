import { describeService } from "slipway/verify";

for (const cluster of ["tokyo", "osaka"]) {
  describeService("web", { cluster, port: 80 }, (t) => {
    t.http("/")
      .status(200)
      .body(/"service":"web"/);
    t.http("/be1/")
      .status(200)
      .body(/"service":"backend1"/);
    t.http("/be2/")
      .status(200)
      .body(/"service":"backend2"/);
  });
}
