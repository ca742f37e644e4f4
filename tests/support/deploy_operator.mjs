// Validates the Prometheus operator's resources of a JSON list on stdin; the first argument is target/deploy-tools.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const path = "node_modules/@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/index.js";
const models = await import(pathToFileURL(resolve(process.argv[2], path)));
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const Model = models[object.kind];
  if (!Model) throw new Error(`no schema for ${object.kind}`);
  new Model(object).validate();
  console.log(`${object.kind} ${object.metadata.name}`);
}
