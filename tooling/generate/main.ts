// npm run generate: loads published weights and goes on writing.
import { PolyheadError } from "@polyhead/core";
import { openNodeGpu, tuneOnDisk } from "@polyhead/gpu-node";
import { cacheBytes, completeText, decodePlan, DecoderModel, describeText, EncoderModel, type Tokenizer } from "@polyhead/model";
import { interruption, runProgram, tokenizerOf } from "@polyhead/model/node";
import { createEngine } from "@polyhead/tensor";
import process from "node:process";
import { fromHere, load, type Loaded } from "./load.ts";
import { help, readOptions, type Options } from "./options.ts";

/** New tokens where the command line does not say how many. */
const TOKENS = 128;

/** The ids that the model reads: the prompt, with a chat template around it where that is wanted. */
function read({ prompt, chat }: Options, { chatTemplate }: Loaded, tokenizer: Tokenizer): number[] {
  if (!chat) return tokenizer.encode(prompt);
  if (chatTemplate === undefined) throw new PolyheadError("CHAT_TEMPLATE", "the model came without a chat template", "leave --chat out, or use a model that was tuned for conversations");
  return tokenizer.encode(chatTemplate.apply([{ role: "user", content: prompt }]), { special: false });
}

async function generate(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(help());
    return;
  }
  const signal = interruption();
  const gpu = await openNodeGpu();
  try {
    tuneOnDisk(gpu);
    const began = performance.now();
    const loaded = await load(options, createEngine(gpu, { seed: 1 }), signal);
    const { model, family, spec, report, generation } = loaded;
    if (model instanceof EncoderModel) throw new PolyheadError("MODEL_LOGITS", "an encoder reads texts and writes none", "use a decoder or an encoder-decoder");
    const tokenizer = await tokenizerOf(loaded, options.tokenizer === undefined ? undefined : fromHere(options.tokenizer));
    const seconds = (performance.now() - began) / 1000;
    const plan = (model instanceof DecoderModel ? decodePlan(model) : model.plan).explain();
    const tell = options.json ? () => undefined : (text: string) => { process.stdout.write(text); };
    if (model instanceof DecoderModel && !options.chat) tell(options.prompt);
    const completed = await completeText(model, tokenizer, read(options, loaded, tokenizer), {
      tokens: TOKENS, stopIds: generation.eos, ...generation.choice, ...options.generation,
      signal, onText: tell, onNotice: (message) => { console.error(`note      ${message}`); },
    });
    tell("\n");
    console.error([
      `model     ${family.name}: ${spec.layers} layers of width ${spec.width}, ${report.bytes.toLocaleString("en")} bytes of weights, loaded in ${seconds.toFixed(2)} s`,
      `adapter   ${gpu.info.description || gpu.info.key}`,
      `plan      ${plan}`,
      describeText(model, completed),
    ].join("\n"));
    if (options.json) console.log(JSON.stringify({ ...completed, family: family.name, plan, cacheBytes: cacheBytes(model, completed.timing.promptTokens, completed.timing.tokens), adapter: gpu.info.key }));
  } finally {
    gpu.dispose();
  }
}

await runProgram(import.meta, generate);
