// npm run ring: attention over several devices, or a plan of one.
import { runProgram } from "@polyhead/model/node";
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { help, readOptions } from "./arguments.ts";
import { planReport, planText } from "./plan.ts";
import { reportHtml } from "./report.ts";

await runProgram(import.meta, async () => {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    console.log(help());
    return;
  }
  console.log(planText(options));
  if (options.report === undefined) return;
  await writeFile(options.report, reportHtml(planReport(options)));
  console.log(`\n${options.report} shows the simulated timeline`);
});
