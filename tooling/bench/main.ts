import process from "node:process";
import { adapterName, allWaitAlike, shareAdapter, waitAlike } from "./adapter.ts";
import { chosen, readArgs, usage, type Args, type Bench } from "./args.ts";
import { attentionCase, attentionGroups, type AttentionCase } from "./cases/attention.ts";
import type { AttentionProblem } from "./cases/attention-problem.ts";
import { withRatios } from "./cases/attention-ratios.ts";
import { decodeCases } from "./cases/decode.ts";
import { flexCase, flexGroups } from "./cases/flex.ts";
import { withBars } from "./cases/flex-ratios.ts";
import { withCeilings } from "./cases/decode-ratios.ts";
import { latentCases } from "./cases/latent.ts";
import { matmulCases } from "./cases/matmul.ts";
import { storiesCase } from "./cases/stories.ts";
import { trainCase } from "./cases/train.ts";
import type { Case, Contender } from "./contender.ts";
import { ourFlash, oursUntuned, ourUnfused } from "./ours/attention.ts";
import { ourDecoder } from "./ours/decode.ts";
import { ourFlex } from "./ours/flex.ts";
import { fmaCeiling } from "./ours/fma-ceiling.ts";
import { ourGpt } from "./ours/gpt.ts";
import { ourGpu } from "./ours/gpu.ts";
import { ourLatent } from "./ours/latent.ts";
import { ourMatmuls } from "./ours/matmul.ts";
import { ourStories } from "./ours/stories.ts";
import { weightYardsticks } from "./ours/weight-yardsticks.ts";
import { copyYardsticks, matmulYardstick } from "./ours/yardsticks.ts";
import { jaxAttention } from "./peers/jax-attention.ts";
import { jaxGpt } from "./peers/jax-gpt.ts";
import { jaxMatmul } from "./peers/jax-matmul.ts";
import { ortDecoder } from "./peers/onnx-decode.ts";
import { onnxOps, ortCpu, ortWebgpu } from "./peers/onnx-attention.ts";
import { tfjsAttention } from "./peers/tfjs-attention.ts";
import { tfjsGpt } from "./peers/tfjs-gpt.ts";
import { tfjsMatmul } from "./peers/tfjs-matmul.ts";
import { race, raceTogether } from "./race.ts";
import { linesOf, table, type Line } from "./report.ts";
import { ringLines } from "./ring/lines.ts";

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
  async attention(args, adapter) {
    for (const group of attentionGroups(args)) {
      const contests = group.map((listed) => attentionCase(listed, (of) => chosen(attentionContenders(of), args.only)));
      const results = await raceTogether(contests, { ...args, note: noteOf("attention") });
      const raced = contests.map((contest, i) => ({ shape: contest.problem, lines: linesOf(contest, results[i] ?? [], adapter) }));
      for (const lines of withRatios(raced)) print(lines, args);
    }
  },
  async flex(args, adapter) {
    for (const group of flexGroups(args)) {
      const contests = group.map((listed) => flexCase(listed, (shape) => chosen(ourFlex(shape), args.only)));
      const results = await raceTogether(contests, { ...args, note: noteOf("flex") });
      const raced = contests.map((contest, i) => ({ listed: group[i]!, lines: linesOf(contest, results[i] ?? [], adapter) }));
      for (const lines of withBars(raced)) print(lines, args);
    }
  },
  async decode(args, adapter) {
    const stories = storiesCase(args.data, chosen([ourStories(true), ourStories(false)], args.only));
    if (stories === undefined) noteOf("decode")(`stories260K is left out: ${args.data}/models/stories260K-hf is not there (--data)`);
    else if (args.cases.test(stories.name)) await show(stories, args, adapter);
    for (const latent of latentCases(chosen([ourLatent("absorbed"), ourLatent("naive")], args.only), args)) await show(latent(), args, adapter);
    const contests = decodeCases(chosen([...ourDecoders, ortDecoder, ...weightYardsticks], args.only), args);
    const results = await raceTogether(contests, { ...args, note: noteOf("decode") });
    contests.forEach((contest, i) => { print(withCeilings(linesOf(contest, results[i] ?? [], adapter)), args); });
  },
  async ring(args, adapter) {
    for await (const lines of ringLines({ ...args, adapter })) print(lines, args);
  },
  async train(args, adapter) {
    const kernels = args.kernels.length === 0 ? [undefined] : args.kernels;
    const ours = kernels.flatMap((kernel) => args.replay.map((replay) => ourGpt({ ...(kernel !== undefined && { kernel }), replay })));
    await show(trainCase(chosen([...ours, jaxGpt("webgpu"), jaxGpt("wasm"), tfjsGpt], args.only)), args, adapter);
  },
};

const ourDecoders = [
  ourDecoder({ dtype: "f32", replay: true }),
  ourDecoder({ dtype: "f32", replay: false }),
  ourDecoder({ dtype: "f16", replay: true }),
];

/** Everybody who can do a case. */
function attentionContenders({ purpose, shape }: AttentionCase): Contender<AttentionProblem>[] {
  if (purpose === "memory") return [...oursUntuned];
  const onnx = onnxOps(shape).flatMap((op) => [ortWebgpu(op, false), ortWebgpu(op, true), ortCpu(op)]);
  const yardsticks = shape.kind === "decode" ? copyYardsticks : [matmulYardstick];
  return [ourFlash, ourUnfused, jaxAttention("webgpu"), tfjsAttention, ...onnx, ...yardsticks];
}

async function show<Problem>(contest: Case<Problem>, args: Args, adapter: string): Promise<void> {
  print(linesOf(contest, await race(contest, { ...args, note: noteOf(contest.bench) }), adapter), args);
}

const noteOf = (bench: string) => (line: string): void => void process.stderr.write(`# ${bench} ${line}\n`);

function print(raced: readonly Line[], { json }: Args): void {
  const lines = raced.map((line) => (allWaitAlike() ? { ...line, waitAlike: true as const } : line));
  const text = json ? lines.map((line) => JSON.stringify(line)).join("\n") : `\n${table(lines)}`;
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
  if (args.waitAlike) await waitAlike();
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
