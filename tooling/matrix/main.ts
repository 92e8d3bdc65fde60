import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { allCombinations, AXES, keyOf, type Combination } from "./combination.ts";
import { MatrixRunner, type Outcome } from "./run.ts";
import { renderMatrix } from "./table.ts";

const PAGE = new URL("../../docs/matrix.md", import.meta.url);

const USAGE = `npm run matrix -- [--write] [--only AXIS=NAME]... [--resume FILE]
  runs every attention × kernel × position × norm × mask against float64
  --write  writes docs/matrix.md
  --only   combinations with this name on this axis alone: ${Object.keys(AXES).join(", ")}
  --resume  keeps outcomes in FILE, a line of JSON each, and runs those that it lacks
  exit code 1 if a combination neither agrees nor is refused`;

function wanted(only: readonly string[]): Combination[] {
  const filters = only.map((filter) => {
    const [axis = "", name = ""] = filter.split(/=(.*)/s);
    const names: readonly string[] | undefined = Object.hasOwn(AXES, axis) ? AXES[axis as keyof typeof AXES] : undefined;
    if (!names?.includes(name)) throw new Error(`--only ${filter}: there is no such name; ${names === undefined ? `axes are ${Object.keys(AXES).join(", ")}` : `${axis} is one of ${names.join(", ")}`}`);
    return { axis: axis as keyof typeof AXES, name };
  });
  return allCombinations().filter((combination) => filters.every(({ axis, name }) => combination[axis] === name));
}

/** The outcomes of an earlier run. */
function kept(file: string): Map<string, Outcome> {
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter((line) => line !== "") : [];
  return new Map(lines.map((line) => JSON.parse(line) as [string, Outcome]));
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { write: { type: "boolean", default: false }, only: { type: "string", multiple: true, default: [] }, resume: { type: "string" }, help: { type: "boolean", default: false } } });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (values.write && values.only.length > 0) {
    console.error("--write with --only would write a part of the matrix\n  fix: leave one of them out");
    return 1;
  }
  const gpu = await openNodeGpu();
  const runner = new MatrixRunner(createEngine(gpu));
  const outcomes = new Map<string, Outcome>();
  const known = values.resume === undefined ? new Map<string, Outcome>() : kept(values.resume);
  const combinations = wanted(values.only);
  let failed = 0;
  const started = performance.now();
  for (const combination of combinations) {
    const key = keyOf(combination);
    const before = known.get(key);
    const outcome = before ?? (await runner.run(combination));
    outcomes.set(key, outcome);
    if (values.resume !== undefined && before === undefined) appendFileSync(values.resume, `${JSON.stringify([key, outcome])}\n`);
    if ("refusal" in outcome) console.log(`no  ${key}: ${outcome.refusal}`);
    else console.log(`${outcome.pass ? "✓ " : "✗ "} ${outcome.error.toExponential(1)} ${key} (${outcome.where})`);
    if ("pass" in outcome && !outcome.pass) failed++;
  }
  console.log(`${combinations.length} combinations in ${((performance.now() - started) / 1000).toFixed(0)} s, ${failed} failed`);
  if (values.write) writeFileSync(PAGE, renderMatrix(outcomes, { adapter: gpu.info.description || gpu.info.key }));
  gpu.dispose();
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
