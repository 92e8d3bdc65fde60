import type { Engine } from "@polyhead/tensor";
import { compare, openSafetensors, report } from "@polyhead/testkit";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loweringOf } from "../kernels.ts";
import { attended, mapped, type Check } from "../position-bias/on-gpu.ts";
import { biasTables, type BiasTable } from "../position-bias/tables.ts";
import type { CaseRecord } from "../record.ts";
import { UnsupportedCase } from "../unsupported.ts";
import type { SetOptions } from "./set.ts";

const TABLES = "position_bias_tables";

/** Attention without a matrix of scores, and the tables that position biases are made of. */
export async function* efficient(data: string, engine: Engine, { wanted, kernel }: SetOptions): AsyncGenerator<CaseRecord> {
  const folder = join(data, "efficient");
  const listed = JSON.parse(readFileSync(join(folder, "index.json"), "utf8")) as readonly { readonly case: string }[];
  for (const { case: name } of listed) if (name !== TABLES && wanted(name)) yield notYet(name);
  const file = join(folder, `${TABLES}.safetensors`);
  if (existsSync(file) && wanted(TABLES)) yield await biases(file, engine, kernel);
}

/** Cases are named after the package that they are for. */
const notYet = (name: string): CaseRecord => ({ ...failed(name), reason: `unsupported: there is no package attn-${name.split("_")[0] ?? name} yet` });

const failed = (name: string): CaseRecord => ({ set: "efficient", case: name, kernel: "-", lowering: {}, maxError: null, pass: false, reason: null });

/** All tables as one case: on the CPU, element by element on the GPU, and some as the scores of an attention. The worst error counts. */
async function biases(path: string, engine: Engine, kernel: string | undefined): Promise<CaseRecord> {
  let told: Pick<CaseRecord, "kernel" | "lowering"> = { kernel: "-", lowering: {} };
  let maxError = 0;
  let reason: string | null = null;
  try {
    for (const table of biasTables(openSafetensors(path))) {
      const { got, want, rule } = table.known;
      const found = compare(got, want, rule);
      maxError = Math.max(maxError, found.maxError);
      if (!found.pass) reason ??= `${table.name}: ${report(found, want.length)}`;
      const { checks, kernel: planned, lowering } = onGpu(engine, table, kernel);
      if (planned !== undefined) told = { kernel: planned, lowering: { ...told.lowering, ...lowering } };
      for (const check of checks) {
        const error = await verdict(check, (worst) => (maxError = Math.max(maxError, worst)));
        reason ??= error;
      }
    }
    return { ...failed(TABLES), ...told, maxError, pass: reason === null, reason };
  } catch (error) {
    return { ...failed(TABLES), ...told, reason: error instanceof UnsupportedCase ? `unsupported: ${error.message}` : String(error) };
  }
}

function onGpu(engine: Engine, table: BiasTable, kernel: string | undefined): { readonly checks: readonly Check[]; readonly kernel?: string; readonly lowering?: CaseRecord["lowering"] } {
  return engine.noGrad(() => {
    const check = { ...mapped(engine, table) };
    if (!table.attention) return { checks: [check] };
    const { plan, checks } = attended(engine, table, kernel);
    return { checks: [check, ...checks], kernel: plan.kernel.name, lowering: loweringOf(plan, engine.gpu.caps) };
  });
}

async function verdict({ what, got, want, rule }: Check, worst: (error: number) => void): Promise<string | null> {
  const found = compare(await got.read(), want, rule);
  const { shape } = got;
  got.dispose();
  worst(found.maxError);
  return found.pass ? null : `${what}: ${report(found, want.length, shape)}`;
}
