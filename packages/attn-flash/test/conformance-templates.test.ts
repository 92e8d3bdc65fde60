import { openNodeGpu } from "@polyhead/gpu-node";
import { add, cast, createEngine, mul, sum } from "@polyhead/tensor";
import { kernelLaws, type Law } from "@polyhead/testkit";
import { afterAll, describe, it } from "vitest";
import { flash } from "../src/index.ts";
import { templateName, type FlashTemplate } from "../src/kernel.ts";
import { forced } from "./forced.ts";

const [bare, able] = [await openNodeGpu({ limits: "default", features: "none", poison: true }), await openNodeGpu({ poison: true })];
afterAll(() => { bare.dispose(); able.dispose(); });
const shared = { ops: { add, cast, mul, sum }, inlineQk: true, cover: "once" } as const;

/** The covering cases and those laws about which a template decides. */
const decisive = (laws: readonly Law[]): Law[] => laws.filter(({ name }) => /float64 attention|no allowed key|asked alone|number in use|pages give/.test(name));

describe("flash, with all that the adapter has", () => {
  for (const { name, check } of decisive(kernelLaws({ ...shared, kernel: flash, engine: createEngine(able) }))) it(name, check);
});

const TEMPLATES: readonly FlashTemplate[] = [
  { kind: "row", threads: 64, keys: 4, staged: true },
  { kind: "tile", x: 16, y: 4, rows: 2, keys: 2 },
];

for (const template of TEMPLATES) {
  describe(`flash by template ${templateName(template)} in every pass`, () => {
    const laws = kernelLaws({ ...shared, kernel: forced(template, bare), engine: createEngine(bare), seed: 3 });
    for (const { name, check } of laws.filter(({ name: law }) => law.includes("float64 attention")).slice(0, 4)) it(name, check);
  });
}
