import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { generate, generateBatch, type BatchToken, type GenerateBatchOptions, type GenerateOptions, type LanguageModel, type StopReason } from "../src/index.ts";
import { small } from "./parts.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 5 });
const model = small(engine, { context: 16 });
afterAll(() => { gpu.dispose(); });

const PROMPTS = [[3], [6, 5, 4, 3, 2], [1, 1]];

interface Ended<R> {
  readonly ids: number[];
  readonly reason: R;
}

async function alone(prompt: readonly number[], options: GenerateOptions): Promise<Ended<StopReason>> {
  const ids: number[] = [];
  const run = generate(model, prompt, options);
  for (;;) {
    const { done, value } = await run.next();
    if (done === true) return { ids, reason: value };
    ids.push(value);
  }
}

async function together(prompts: readonly (readonly number[])[], options: GenerateBatchOptions, of: LanguageModel = model): Promise<Ended<StopReason>[]> {
  const ids: number[][] = prompts.map(() => []);
  const run = generateBatch(of, prompts, options);
  for (;;) {
    const { done, value } = await run.next();
    if (done === true) return ids.map((own, row) => ({ ids: own, reason: value[row]! }));
    expect(value.index).toBe(ids[value.row]!.length);
    ids[value.row]!.push(value.id);
  }
}

/** Logits of the token after `ids`. */
async function logitsAfter(ids: readonly number[]): Promise<number[]> {
  return [...(await engine.noGrad(() => model.logits(model.ids(ids))).read()).subarray(-7)];
}

/** In float64, by sorting: the probabilities that the options leave. */
function probabilities(logits: readonly number[], seen: readonly number[], { repetitionPenalty = 1, temperature = 1, topK = 7, topP = 1, minP = 0 }: Omit<GenerateOptions, "tokens">): number[] {
  const softmax = (x: readonly number[]): number[] => {
    const w = x.map((v) => Math.exp(v - Math.max(...x)));
    return w.map((v) => v / w.reduce((a, b) => a + b, 0));
  };
  const penalised = logits.map((v, id) => (!seen.includes(id) ? v : v < 0 ? v * repetitionPenalty : v / repetitionPenalty)).map((v) => v / temperature);
  const order = penalised.map((_, id) => id).sort((a, b) => penalised[b]! - penalised[a]!);
  let left = softmax(penalised.map((v, id) => (order.indexOf(id) < topK ? v : -Infinity)));
  let before = 0;
  const nucleus = new Set(order.filter((id) => { before += left[id]!; return before - left[id]! < topP; }));
  left = left.map((p, id) => (nucleus.has(id) && p >= minP * Math.max(...left) ? p : 0));
  return left.map((p) => p / left.reduce((a, b) => a + b, 0));
}

describe("a batch", () => {
  it.each([
    { temperature: 0 },
    { seed: 3, temperature: 1.5 },
    { seed: 4, repetitionPenalty: 1.7, topP: 0.9, topK: 5, minP: 0.02 },
  ])("gives each prompt what it gets alone, replayed or not: %o", async (options) => {
    const want = [];
    for (const [row, prompt] of PROMPTS.entries()) want.push(await alone(prompt, { tokens: 8, ...options, stream: row }));
    for (const replay of [true, false]) expect(await together(PROMPTS, { tokens: 8, ...options, replay })).toEqual(want);
    expect(want.map(({ reason }) => reason)).toEqual(["length", "length", "length"]);
  });

  it("gives a row the same ids whatever stands beside it, and other rows other draws", async () => {
    const three = await together([[2], [2], [2]], { tokens: 12, temperature: 3 });
    expect(await together([[2], [2]], { tokens: 12, temperature: 3, stream: 1 })).toEqual(three.slice(1));
    expect(new Set(three.map(({ ids }) => ids.join())).size).toBe(3);
  });

  it("reads its prompts in chunks to the same ids", async () => {
    const options = { tokens: 12, seed: 2, repetitionPenalty: 1.2, topP: 0.9 };
    expect(await together(PROMPTS, { ...options, chunk: 2 })).toEqual(await together(PROMPTS, options));
  });

  it("ends every row at its own stop id, which it still gives, and itself when all have ended", async () => {
    const free = await together(PROMPTS, { tokens: 10, seed: 8, temperature: 2 });
    const stop = free[0]!.ids[1]!;
    const cut = ({ ids, reason }: Ended<StopReason>): Ended<StopReason> => (ids.includes(stop) ? { ids: ids.slice(0, ids.indexOf(stop) + 1), reason: "stop-id" } : { ids, reason });
    expect(await together(PROMPTS, { tokens: 10, seed: 8, temperature: 2, stopIds: stop })).toEqual(free.map(cut));
    const sent = gpu.stats.replays;
    const all = await together(PROMPTS, { tokens: 10, seed: 8, temperature: 2, stopIds: [0, 1, 2, 3, 4, 5, 6] });
    expect(all.map(({ ids, reason }) => [ids.length, reason])).toEqual([[1, "stop-id"], [1, "stop-id"], [1, "stop-id"]]);
    // Of the steps that were sent before the first ids came back, one is a replay.
    expect(gpu.stats.replays - sent).toBe(1);
  });

  it("ends when the longest row has filled the context, a single prompt only where it is told to", async () => {
    const full = await together(PROMPTS, { tokens: 40, temperature: 0 });
    expect(full.map(({ ids, reason }) => [ids.length, reason])).toEqual([[12, "context"], [12, "context"], [12, "context"]]);
    expect(await alone([6, 5, 4, 3, 2], { tokens: 40, temperature: 0, whenFull: "stop" })).toEqual(full[1]);
    const more = await alone([6, 5, 4, 3, 2], { tokens: 40, temperature: 0 });
    expect([more.ids.length, more.reason]).toEqual([40, "length"]);
  });

  it("draws from the float64 distribution of its options", async () => {
    const [prompt, draws] = [[3, 1, 4], 600];
    const logits = await logitsAfter(prompt);
    for (const options of [{}, { repetitionPenalty: 1.4, temperature: 0.9, topK: 6, topP: 0.9, minP: 0.05 }]) {
      const want = probabilities(logits, prompt, options);
      const counts = new Array<number>(7).fill(0);
      for (const { ids } of await together(new Array<number[]>(draws).fill(prompt), { tokens: 1, seed: 12, ...options })) counts[ids[0]!]!++;
      expect(counts.map((n) => n > 0)).toEqual(want.map((p) => p > 0));
      const statistic = want.reduce((sum, p, id) => (p > 0 ? sum + (counts[id]! - draws * p) ** 2 / (draws * p) : sum), 0);
      expect(statistic).toBeLessThan(6 + 5 * Math.sqrt(12));
    }
  });
});

it("the repetition penalty falls on the prompt and on every token since, replayed too", async () => {
  const prompt = [3, 1];
  const want = [...prompt];
  for (let i = 0; i < 8; i++) {
    const p = probabilities(await logitsAfter(want), want, { repetitionPenalty: 1.3 });
    want.push(p.indexOf(Math.max(...p)));
  }
  for (const replay of [true, false]) expect((await alone(prompt, { tokens: 8, temperature: 0, repetitionPenalty: 1.3, replay })).ids).toEqual(want.slice(2));
});

describe("generation leaves nothing on the device", () => {
  const options = { tokens: 12, seed: 2, repetitionPenalty: 1.2, topP: 0.9 };
  let before = 0;
  beforeEach(() => { before = gpu.stats.liveBytes; });

  it("at its end, or when its iterator is returned early", async () => {
    await together(PROMPTS, options);
    expect(gpu.stats.liveBytes).toBe(before);
    for await (const { index } of generateBatch(model, PROMPTS, options)) if (index === 4) break;
    expect(gpu.stats.liveBytes).toBe(before);
    for await (const id of generate(model, [1], options)) if (id < 7) break;
    expect(gpu.stats.liveBytes).toBe(before);
  });

  it("when its signal is aborted: no further step is sent, every row says so", async () => {
    const stop = new AbortController();
    const run = generateBatch(model, PROMPTS, { ...options, signal: stop.signal });
    const tokens: BatchToken[] = [];
    for (let i = 0; i < 7; i++) tokens.push((await run.next()).value as BatchToken);
    stop.abort();
    const sent = gpu.stats.submits;
    let last = await run.next();
    for (; last.done !== true; last = await run.next()) tokens.push(last.value);
    expect(last.value).toEqual(["aborted", "aborted", "aborted"]);
    expect(tokens).toHaveLength(9); // the step at hand is given whole
    expect(gpu.stats.submits).toBe(sent);
    expect(gpu.stats.liveBytes).toBe(before);
    expect(await alone([1], { ...options, signal: AbortSignal.abort() })).toEqual({ ids: [], reason: "aborted" });
  });

  it("when its signal is aborted while a prompt is read: the rest of it is not sent", async () => {
    const prompt = new Array<number>(15).fill(3);
    const read = async (signal?: AbortSignal): Promise<[number, Ended<StopReason>]> => {
      const sent = gpu.stats.dispatches;
      const ended = await alone(prompt, { tokens: 1, chunk: 4, temperature: 0, ...(signal && { signal }) });
      return [gpu.stats.dispatches - sent, ended];
    };
    const [all] = await read();
    const stop = new AbortController();
    const run = read(stop.signal);
    stop.abort();
    const [some, ended] = await run;
    expect(ended).toEqual({ ids: [], reason: "aborted" });
    expect(some).toBeLessThan(all / 2);
    expect(gpu.stats.liveBytes).toBe(before);
  });

  it("when it throws", async () => {
    const broken: LanguageModel = {
      engine,
      spec: model.spec,
      createCache: (wanted) => model.createCache(wanted),
      ids: (ids, batch) => model.ids(ids, batch),
      prefill: (ids, wanted) => model.prefill(ids, wanted),
      checkRoom: (rows, cache) => model.checkRoom(rows, cache),
      logits: () => { throw new Error("broken"); },
    };
    await expect(together([[1], [2, 3]], options, broken)).rejects.toThrow("broken");
    expect(gpu.stats.liveBytes).toBe(before);
  });

});

it("logits that are no numbers are an error with step and row, unless the row has ended", async () => {
  const sick = small(engine, { context: 16, embedding: { use: "untied" }, position: { use: "none" } });
  const prompts = [[1], [2, 5], [3], [6, 6]];
  const ending = { tokens: 12, temperature: 3, seed: 6, stopIds: 4 };
  const healthy = await together(prompts, ending, sick);
  expect(new Set(healthy.map(({ ids }) => ids.length)).size).toBeGreaterThan(1);
  const table = sick.parameters.all.find(({ name }) => name === "embedding.weight")!.tensor;
  const numbers = Float32Array.from(await table.read());
  numbers[4 * 12] = NaN; // whoever reads token 4 is lost
  engine.upload(table, numbers);
  expect(await together(prompts, ending, sick)).toEqual(healthy);
  for (const temperature of [0, 1]) await expect(together([[1], [2, 4]], { tokens: 3, temperature }, sick)).rejects.toThrow(/MODEL_LOGITS.*step 0 of row 1, after 2 tokens/s);
  sick.dispose();
});

it("impossible options are refused before anything is sent, by name", async () => {
  const sent = gpu.stats.dispatches;
  const wrong: Record<string, readonly number[]> = {
    tokens: [-1, 1.5, NaN], temperature: [-1, NaN, Infinity], topK: [0, 1.5], topP: [0, 1.2, NaN], minP: [-1, 1.1], repetitionPenalty: [0, NaN], seed: [-1, 2 ** 32], stream: [-1, 0.5], chunk: [0, 1.5], stopIds: [7, -1],
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) await expect(alone([1], { tokens: 1, [name]: value })).rejects.toThrow(`[CONFIG_RANGE] ${name} is ${value}`);
  }
  await expect(together([], { tokens: 1 })).rejects.toThrow(/MODEL_PROMPT.*no prompt/s);
  await expect(together([[1], []], { tokens: 1 })).rejects.toThrow(/MODEL_PROMPT.*prompt 1 is empty/s);
  await expect(together([[1, 2], [1, 7]], { tokens: 1 })).rejects.toThrow(/MODEL_PROMPT.*prompt 1 has the id 7 at place 1; ids are whole numbers from 0 to 6/s);
  await expect(together([[1], new Array<number>(17).fill(1)], { tokens: 1 })).rejects.toThrow(/MODEL_CONTEXT.*prompt 1 has 17 tokens.*holds 16/s);
  expect(await together(PROMPTS, { tokens: 0 })).toEqual(PROMPTS.map(() => ({ ids: [], reason: "length" })));
  expect(gpu.stats.dispatches).toBe(sent);
});
