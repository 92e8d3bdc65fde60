// npm run ring: attention over several devices, or a plan of one.
import { runProgram } from "@polyhead/model/node";
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import process from "node:process";
import { help, readOptions, type Options } from "./arguments.ts";
import { planReport, planText } from "./plan.ts";
import { reportHtml, type Report } from "./report.ts";
import { rightIn, runReport, runText } from "./run-text.ts";
import { runWorld } from "./world.ts";

async function write({ report: file }: Options, report: () => Report): Promise<void> {
  if (file === undefined) return;
  // npm runs in the repository's root; the path is the caller's.
  const path = resolve(process.env["INIT_CWD"] ?? ".", file);
  await writeFile(path, reportHtml(report()));
  console.log(`\n${path} shows timeline and memory`);
}

await runProgram(import.meta, async () => {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    console.log(help());
  } else if (options.plan) {
    console.log(planText(options));
    await write(options, () => planReport(options));
  } else {
    const report = await runWorld(options);
    if (report === undefined) return; // another process has rank 0
    console.log(runText(options, report));
    await write(options, () => runReport(options, report));
    if (!rightIn(options, report)) process.exitCode = 1;
  }
});
