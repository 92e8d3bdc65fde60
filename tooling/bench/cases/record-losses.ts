// Walks the bench's model in float64 and prints the losses that `train-losses.ts` keeps: node cases/record-losses.ts [steps]
import process from "node:process";
import { benchShape, gptProblem } from "./gpt-problem.ts";
import { trainInFloat64 } from "./gpt-reference.ts";

const steps = Number(process.argv[2] ?? 12);
console.log(trainInFloat64(gptProblem(benchShape), steps).map((loss) => loss.toFixed(9)).join(",\n"));
