// npm run generate: loads published weights and goes on writing.
import { PolyheadError } from "@polyhead/core";
import { openNodeGpu, tuneOnDisk } from "@polyhead/gpu-node";
import { cacheBytes, completeText, DecoderModel, describeText, EncoderDecoderModel, type LanguageModel, type Prompt, type Tokenizer } from "@polyhead/model";
import { interruption, runProgram } from "@polyhead/model/node";
import { createEngine } from "@polyhead/tensor";
import process from "node:process";
import { load, tokenizerOf, type Loaded } from "./load.ts";
import { help, readOptions, type Options } from "./options.ts";

/** New tokens where the command line does not say how many. */
const TOKENS = 128;

/** The ids that the model reads: the prompt, with a chat template around it where that is wanted. */
function read({ prompt, chat }: Options, { chatTemplate }: Loaded, tokenizer: Tokenizer): number[] {
  if (!chat) return tokenizer.encode(prompt);
  if (chatTemplate === undefined) throw new PolyheadError("CHAT_TEMPLATE", "the model came without a chat template", "leave --chat out, or use a model that was tuned for conversations");
  return tokenizer.encode(chatTemplate.apply([{ role: "user", content: prompt }]), { special: false });
}

/** What writes, from where it goes on, and what it runs on. */
interface Writer {
  readonly model: LanguageModel;
  readonly prompt: Prompt;
  readonly plan: string;
}

function writerOf({ model, generation }: Loaded, ids: readonly number[]): Writer {
  if (model instanceof DecoderModel) {
    const cache = model.createCache({ batch: 1, kind: "static", capacity: 1 });
    const plan = model.planOf({ cache }).explain();
    for (const layer of cache) layer.dispose();
    return { model, prompt: ids, plan };
  }
  if (model instanceof EncoderDecoderModel) {
    const { engine } = model;
    const memory = engine.noGrad(() => engine.scope(() => model.encode(model.ids(ids))));
    return { model: model.decoder(memory), prompt: [generation.decoderStart ?? model.start], plan: model.plan.explain() };
  }
  throw new PolyheadError("MODEL_LOGITS", "an encoder reads texts and writes none", "use a decoder or an encoder-decoder");
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
    const tokenizer = await tokenizerOf(options, loaded);
    const seconds = (performance.now() - began) / 1000;
    const { model, prompt, plan } = writerOf(loaded, read(options, loaded, tokenizer));
    const tell = options.json ? () => undefined : (text: string) => { process.stdout.write(text); };
    tell(loaded.model instanceof DecoderModel && !options.chat ? options.prompt : "");
    const completed = await completeText(model, tokenizer, prompt, {
      tokens: TOKENS, stopIds: loaded.generation.eos, ...loaded.generation.choice, ...options.generation,
      signal, onText: tell, onNotice: (message) => { console.error(`note      ${message}`); },
    });
    tell("\n");
    const { family, spec, report } = loaded;
    console.error([
      `model     ${family.name}: ${spec.layers} layers of width ${spec.width}, ${report.bytes.toLocaleString("en")} bytes of weights, loaded in ${seconds.toFixed(2)} s`,
      `adapter   ${gpu.info.description || gpu.info.key}`,
      `plan      ${plan}`,
      describeText(model, completed),
    ].join("\n"));
    if (options.json) console.log(JSON.stringify({ ...completed, family: family.name, plan, cacheBytes: cacheBytes(model, completed.timing.promptTokens + completed.timing.tokens), adapter: gpu.info.key }));
  } finally {
    gpu.dispose();
  }
}

await runProgram(import.meta, generate);
