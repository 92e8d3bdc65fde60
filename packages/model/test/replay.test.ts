import type { KvCache } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { argmax, createEngine, multinomial, softmax, type Tensor } from "@polyhead/tensor";
import { assertClose } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { DecodeStep, generate, type DecoderModel, type DecodeReplay, type GenerateOptions } from "../src/index.ts";
import { small } from "./parts.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 5 });
afterAll(() => { gpu.dispose(); });

const ids = async (model: DecoderModel, options: GenerateOptions, prompt: readonly number[] = [3, 1]): Promise<number[]> => {
  const all: number[] = [];
  for await (const id of generate(model, prompt, options)) all.push(id);
  return all;
};

const SPECS = {
  rope: {},
  learned: { position: { use: "learned" }, norm: { use: "layer" }, embedding: { use: "untied" } },
  sinusoidal: { position: { use: "sinusoidal" }, norm: { use: "layer", place: "post" } },
  none: { position: { use: "none" }, attention: { use: "mha", heads: 2, kvHeads: 1 } },
} as const;

describe("replayed generation gives the ids of eager generation", () => {
  for (const [name, spec] of Object.entries(SPECS)) {
    it(`with ${name} positions, past the context, greedy, drawn and drawn among few`, async () => {
      const model = small(engine, spec);
      for (const options of [{ temperature: 0 }, { seed: 1 }, { temperature: 2, topK: 3, seed: 2 }]) {
        const before = gpu.stats.replays;
        const want = await ids(model, { tokens: 20, ...options, replay: false });
        expect(gpu.stats.replays).toBe(before);
        expect(await ids(model, { tokens: 20, ...options, replay: true })).toEqual(want);
        expect(gpu.stats.replays - before).toBeGreaterThanOrEqual(14);
      }
      model.dispose();
    });
  }

  it("when two run in turn on one model, and its engine draws numbers of its own", async () => {
    const model = small(engine);
    const options = [{ tokens: 15, seed: 1 }, { tokens: 15, seed: 2 }] as const;
    const want = [await ids(model, options[0]), await ids(model, options[1])];
    const runs = options.map((one) => generate(model, [3, 1], one));
    const got: number[][] = [[], []];
    for (let i = 0; i < 15; i++) {
      for (const [r, run] of runs.entries()) {
        got[r]!.push((await run.next()).value as number);
        engine.nextRandomStream();
      }
    }
    expect(got).toEqual(want);
    for (const run of runs) await run.return("aborted");
    model.dispose();
  });
});

interface Batch {
  readonly model: DecoderModel;
  readonly kind?: "dense" | "static" | "paged";
  readonly replay?: DecodeReplay;
  readonly starts?: Tensor;
  readonly choose?: (logits: Tensor, step: { readonly value: number }) => Tensor;
}

/** The ids of `steps` decode steps after a prompt, an array a sequence. */
async function decode(prompts: readonly (readonly number[])[], steps: number, { model, kind = "static", replay, starts, choose = argmax }: Batch): Promise<{ readonly got: number[][]; readonly step: DecodeStep; readonly cache: readonly KvCache<Tensor>[] }> {
  const cache = model.createCache({ batch: prompts.length, kind });
  const step = new DecodeStep(model, { cache, choose, ...(replay !== undefined && { replay }), ...(starts && { starts }) });
  const rows = prompts[0]!.length;
  const first = starts && (await starts.read());
  engine.scope(() => {
    const positions = first && engine.tensor(prompts.flatMap((_, b) => Array.from({ length: rows }, (__, t) => Math.max(0, t - first[b]!))), [prompts.length, rows], { dtype: "u32" });
    step.start(model.prefill(model.ids(prompts.flat(), prompts.length), { cache, ...(starts && { starts }), ...(positions && { positions }) }), 0);
  });
  const got = prompts.map(() => [] as number[]);
  for (let i = 0; ; i++) {
    (await step.ids.read()).forEach((id, b) => got[b]!.push(id));
    if (i === steps) break;
    step.next(i + 1);
  }
  step.dispose();
  return { got, step, cache };
}

describe("a decode step", () => {
  it("takes a batch, and draws anew at every replay", async () => {
    const model = small(engine);
    const choose = (logits: Tensor, stream: { readonly value: number }): Tensor => multinomial(softmax(logits), { seed: 9, stream });
    const prompts = [[1, 2, 3], [4, 5, 6]];
    const [eager, replayed] = [await decode(prompts, 6, { model, replay: false, choose }), await decode(prompts, 6, { model, replay: true, choose })];
    expect(replayed.got).toEqual(eager.got);
    expect(replayed.cache.map(({ length }) => length)).toEqual([9, 9]);
    for (const layer of [...eager.cache, ...replayed.cache]) layer.dispose();
    model.dispose();
  });

  for (const spec of [SPECS.rope, SPECS.learned]) {
    it(`leaves out padding on the left, to the ids of each sequence alone: ${JSON.stringify(spec)}`, async () => {
      const model = small(engine, spec);
      const prompts = [[0, 0, 3, 1], [2, 6, 5, 4]];
      const starts = engine.tensor([2, 0], [2], { dtype: "i32" });
      const { got, cache } = await decode(prompts, 5, { model, replay: true, starts });
      const alone = [await ids(model, { tokens: 6, temperature: 0 }, [3, 1]), await ids(model, { tokens: 6, temperature: 0 }, [2, 6, 5, 4])];
      expect(got).toEqual(alone);
      for (const layer of cache) layer.dispose();
      model.dispose();
    });
  }

  it("sees weights that change between two replays", async () => {
    const model = small(engine);
    const cache = model.createCache({ batch: 1, kind: "static" });
    let kept: Tensor | undefined;
    const step = new DecodeStep(model, { cache, replay: true, choose: (logits) => {
      kept ??= engine.keep(engine.zeros(logits.shape));
      engine.assign(kept, logits);
      return argmax(logits);
    } });
    engine.scope(() => { step.start(model.prefill(model.ids([1, 2]), { cache }), 0); });
    step.next(1);
    step.next(2);
    const weight = model.parameters.all.at(-1)!.tensor;
    engine.upload(weight, Float32Array.from(await weight.read(), (x) => 1.5 * x));
    const read = [...(await step.ids.read())];
    step.next(3);
    const [want] = [await engine.noGrad(() => model.logits(engine.tensor(read, [1, 1], { dtype: "u32" }), { cache: cache.map((layer) => { layer.truncate(4); return layer; }) })).read()];
    assertClose(await kept!.read(), want, { label: "logits" });
    step.dispose();
    for (const layer of cache) layer.dispose();
    kept!.dispose();
    model.dispose();
  });

  it("on a cache whose shape changes runs as usual to the same ids and says why; told to insist, it throws", async () => {
    const model = small(engine);
    const fixed = await decode([[1, 2, 3]], 5, { model });
    for (const kind of ["dense", "paged"] as const) {
      const { got, step, cache } = await decode([[1, 2, 3]], 5, { model, kind });
      expect(got).toEqual(fixed.got);
      expect(step.obstacle).toMatch(new RegExp(`a ${kind} cache changes its shape`));
      for (const layer of cache) layer.dispose();
    }
    expect(fixed.step.obstacle).toBeUndefined();
    const cache = model.createCache({ batch: 1 });
    expect(() => new DecodeStep(model, { cache, choose: argmax, replay: true })).toThrow(/MODEL_REPLAY.*a dense cache.*kind 'static'/s);
    for (const layer of [...cache, ...fixed.cache]) layer.dispose();
    model.dispose();
  });

  it("refuses to pass the context or the capacity before anything is written, replayed or not", async () => {
    const model = small(engine);
    for (const [capacity, error] of [[9, /MODEL_CONTEXT.*10 positions/s], [5, /ATTN_CACHE_FULL/]] as const) {
      const cache = model.createCache({ batch: 1, kind: "static", capacity });
      const step = new DecodeStep(model, { cache, choose: argmax });
      engine.scope(() => { step.start(model.prefill(model.ids([1, 2, 3]), { cache }), 0); });
      for (let i = 3; i < capacity; i++) step.next(i);
      const before = gpu.stats.dispatches;
      expect(() => { step.next(9); }).toThrow(error);
      expect(gpu.stats.dispatches).toBe(before);
      expect(cache.map(({ length }) => length)).toEqual([capacity, capacity]);
      step.dispose();
      for (const layer of cache) layer.dispose();
    }
    await gpu.settled();
    model.dispose();
  });

  it("sends one submission a token, and makes neither buffers nor bind groups", async () => {
    const model = small(engine);
    const run = generate(model, [1], { tokens: 9, replay: true });
    for (let i = 0; i < 4; i++) await run.next();
    const before = gpu.stats;
    await run.next();
    await run.next();
    const after = gpu.stats;
    expect([after.replays - before.replays, after.submits - before.submits, after.buffers - before.buffers, after.bindGroups - before.bindGroups]).toEqual([2, 2, 0, 0]);
    await run.return("aborted");
    model.dispose();
  });
});

describe("generation that cannot be replayed", () => {
  it("runs as usual to the same ids, says why, and frees all that it took", async () => {
    const model = small(engine);
    const want = await ids(model, { tokens: 12, seed: 3 });
    const logits = model.logits.bind(model);
    model.logits = (input, options) => engine.scope(() => {
      engine.tensor([1, 2, 3]);
      return logits(input, options);
    });
    const before = gpu.stats.liveBytes;
    const notices: string[] = [];
    expect(await ids(model, { tokens: 12, seed: 3, onNotice: (message) => notices.push(message) })).toEqual(want);
    expect(notices).toEqual([expect.stringMatching(/without replay: .*GPU_REPLAY.*12 bytes of the host's/)]);
    await expect(ids(model, { tokens: 12, replay: true })).rejects.toThrow(/GPU_REPLAY/);
    expect(gpu.stats.liveBytes).toBe(before);
    model.dispose();
  });

  it("names logits that are no numbers", async () => {
    const model = small(engine);
    const last = model.parameters.all.at(-1)!.tensor;
    engine.upload(last, new Float32Array(last.size).fill(NaN));
    await expect(ids(model, { tokens: 4 })).rejects.toThrow(/MODEL_LOGITS.*NaN/s);
    model.dispose();
  });
});
