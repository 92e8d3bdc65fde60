import process from "node:process";
import { adapterName, shareAdapter } from "./adapter.ts";
import { chosen, readArgs, usage, type Args, type Bench } from "./args.ts";
import { matmulCases } from "./cases/matmul.ts";
import { trainCase } from "./cases/train.ts";
import type { Case } from "./contender.ts";
import { fmaCeiling } from "./ours/fma-ceiling.ts";
import { ourGpt } from "./ours/gpt.ts";
import { ourGpu } from "./ours/gpu.ts";
import { ourMatmuls } from "./ours/matmul.ts";
import { jaxGpt } from "./peers/jax-gpt.ts";
import { jaxMatmul } from "./peers/jax-matmul.ts";
import { tfjsGpt } from "./peers/tfjs-gpt.ts";
import { tfjsMatmul } from "./peers/tfjs-matmul.ts";
import { race } from "./race.ts";
import { linesOf, table } from "./report.ts";

const run: Record<Bench, (args: Args, adapter: string) => Promise<void>> = {
  async matmul(args, adapter) {
    const gpu = await ourGpu();
    let best = 0;
    // Other work on the machine can only lower what is measured, so the best seen so far is nearest to the truth.
    const ceiling = async (): Promise<number> => (best = Math.max(best, await fmaCeiling(gpu)));
    const contenders = chosen([...ourMatmuls, jaxMatmul, tfjsMatmul], args.only);
    for await (const contest of matmulCases({ sizes: args.quick ? [512] : [512, 1024], contenders, ceiling })) {
      await show(contest, args, adapter);
    }
  },
  async train(args, adapter) {
    await show(trainCase(chosen([ourGpt, jaxGpt("webgpu"), jaxGpt("wasm"), tfjsGpt], args.only)), args, adapter);
  },
};

async function show<Problem>(contest: Case<Problem>, args: Args, adapter: string): Promise<void> {
  const note = (line: string): void => void process.stderr.write(`# ${contest.bench} ${contest.name}: ${line}\n`);
  const lines = linesOf(contest, await race(contest, { ...args, note }), adapter);
  const text = args.json ? lines.map((line) => JSON.stringify(line)).join("\n") : `\n${table(lines)}`;
  process.stdout.write(`${text}\n`);
}

async function main(): Promise<void> {
  const args = readArgs(process.argv.slice(2));
  if (args.help) {
    console.log(usage());
    return;
  }
  shareAdapter();
  const adapter = await adapterName();
  for (const bench of args.benches) await run[bench](args, adapter);
}

try {
  await main();
} catch (cause) {
  process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n\n${usage()}\n`);
  process.exitCode = 1;
}
// The peers keep devices and timers that would hold the process open.
process.exit();
