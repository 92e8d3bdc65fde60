import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { referenceSets } from "@polyhead/testkit";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { attentionLab } from "./kernels.ts";
import { jsonLine, table, type CaseRecord } from "./record.ts";
import { SETS } from "./sets/index.ts";

const USAGE = `npm run conformance -- [--data DIR] [--set a,b] [--case TEXT] [--kernel NAME] [--json]
  runs every reference set found under DIR (default ../shared/reference) through the real kernels
  --set   only these sets: ${Object.keys(SETS).join(", ")}
  --case  only cases whose name contains TEXT
  --kernel  this attention kernel or none, where the planner would choose: ${attentionLab.names("kernel").join(", ")}
  --json  one JSON line a case: {"set","case","kernel","lowering","maxError","pass","reason"}
  exit code 1 if any case failed; a case that is not supported fails, with its reason`;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { data: { type: "string", default: "../shared/reference" }, set: { type: "string" }, case: { type: "string", default: "" }, kernel: { type: "string" }, json: { type: "boolean", default: false }, help: { type: "boolean", default: false } } });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const data = resolve(process.env["INIT_CWD"] ?? ".", values.data);
  if (!existsSync(data)) {
    console.error(`there is no reference data at ${data}\n  fix: point --data at a folder that holds sets such as onnx-ops`);
    return 1;
  }
  const found = referenceSets(data).filter((name) => name !== "datasets");
  const chosen = values.set?.split(",") ?? found;
  const missing = chosen.find((name) => !found.includes(name));
  if (missing !== undefined) {
    console.error(`there is no set '${missing}' under ${data}\n  fix: choose among ${found.join(", ")}`);
    return 1;
  }
  const gpu = await openNodeGpu();
  const engine = createEngine(gpu);
  if (!values.json) console.log(`adapter: ${gpu.info.description || gpu.info.key}`);
  const records: CaseRecord[] = [];
  for (const set of chosen) {
    const run = SETS[set];
    const cases = run === undefined ? unsupported(set) : run(data, engine, { wanted: (name) => name.includes(values.case), ...(values.kernel !== undefined && { kernel: values.kernel }) });
    for await (const record of cases) {
      records.push(record);
      if (values.json) console.log(jsonLine(record));
    }
  }
  if (!values.json) console.log(table(records));
  gpu.dispose();
  return records.every((record) => record.pass) ? 0 : 1;
}

async function* unsupported(set: string): AsyncGenerator<CaseRecord> {
  yield await Promise.resolve({ set, case: "*", kernel: "-", lowering: {}, maxError: null, pass: false, reason: `set ${set} is not supported yet` });
}

process.exitCode = await main();
