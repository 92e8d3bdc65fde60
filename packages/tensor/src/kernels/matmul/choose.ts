import { tunerOf, type Gpu, type GpuCaps } from "@polyhead/gpu";
import { templateName, tileOf, type MatmulTemplate } from "./spec.ts";
import { workgroupBytes } from "./tiles.ts";

/** Cached times are void when this changes: bump it with every change of a template. */
export const FAMILY = "matmul@2";

/** What decides how fast a template is. Rows, columns and inner length, batches, layouts. */
export interface MatmulShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batches: number;
  readonly transA: boolean;
  readonly transB: boolean;
  /** All three are read and written four at a time. */
  readonly aligned: boolean;
  /** B is f16. */
  readonly half: boolean;
}

/** Shapes of one class share a winner: sizes to the nearest power of two. */
export function shapeClass(s: MatmulShape): string {
  const near = (x: number): number => 2 ** Math.round(Math.log2(Math.max(1, x)));
  return `${s.transA ? "t" : "n"}${s.transB ? "t" : "n"}${s.half ? " f16" : ""} m${near(s.m)} n${near(s.n)} k${near(s.k)} b${near(s.batches)}${s.aligned ? "" : " odd"}`;
}

/** Every template that may be worth its compile time, before any device has been looked at. */
export function allTemplates(caps: Pick<GpuCaps, "subgroupSize">): MatmulTemplate[] {
  const lanes = caps.subgroupSize;
  const withSubgroups: MatmulTemplate[] = [
    { kind: "subgroup", lanes, rows: 32, quads: 1 },
    { kind: "subgroup", lanes, rows: 16, quads: 1 },
    { kind: "subgroup", lanes, rows: 8, quads: 1 },
    { kind: "subgroup", lanes, rows: 16, quads: 2 },
    { kind: "vector", x: 1, slices: lanes, meet: "subgroup" },
  ];
  return [
    ...(lanes >= 4 ? withSubgroups : []),
    { kind: "workgroup", x: 16, y: 16, rows: 4, quads: 1, depth: 16 },
    { kind: "workgroup", x: 8, y: 8, rows: 8, quads: 2, depth: 16 },
    { kind: "workgroup", x: 16, y: 16, rows: 8, quads: 2, depth: 16 },
    { kind: "register", x: 16, y: 4, rows: 4, quads: 1 },
    { kind: "register", x: 8, y: 8, rows: 8, quads: 1 },
    { kind: "register", x: 64, y: 1, rows: 8, quads: 1 },
    { kind: "register", x: 8, y: 1, rows: 8, quads: 1 },
    { kind: "vector", x: 16, slices: 4, meet: "workgroup" },
    { kind: "vector", x: 4, slices: 16, meet: "workgroup" },
  ];
}

/** Why a template cannot, or should not, be used for a shape; undefined where it may. */
export function unsupported(t: MatmulTemplate, s: MatmulShape, caps: GpuCaps): string | undefined {
  const [tileM, tileN] = tileOf(t);
  if (t.kind === "vector") {
    if (s.transA) return "A does not lie along K";
    if (s.m > 8) return `${s.m} rows would each read all of B`;
    if (t.meet === "subgroup" && !s.transB) return "B does not lie along K";
  } else if (tileM > 8 && tileM >= 2 * s.m) return `its ${tileM} rows are mostly idle for ${s.m}`;
  if (tileN > 64 && tileN >= 2 * s.n) return `its ${tileN} columns are mostly idle for ${s.n}`;
  if (t.kind === "workgroup" && workgroupBytes(t) > caps.workgroupBytes) return `it takes ${workgroupBytes(t)} bytes of workgroup memory, the device has ${caps.workgroupBytes}`;
  const threads = t.kind === "subgroup" ? t.lanes : t.kind === "vector" ? t.x * t.slices : t.x * t.y;
  if (threads > caps.invocations) return `it takes ${threads} invocations, the device allows ${caps.invocations}`;
  return undefined;
}

/**
 * The choice where nothing was measured. On software GPUs: one subgroup with tall tiles (many products for each costly
 * load), else registers. On hardware: workgroup memory where the tile fills, else a subgroup or registers.
 */
export function defaultTemplate(s: MatmulShape, gpu: Pick<Gpu, "caps" | "info">): MatmulTemplate {
  const { caps } = gpu;
  const lanes = caps.subgroupSize;
  // They run a subgroup on SIMD units and emulate workgroup memory: their best is a GPU's worst.
  const { software } = gpu.info;
  const small = s.m <= 2 && !s.transA;
  const preferred: MatmulTemplate[] = [
    ...(small && s.transB && lanes >= 4 ? [{ kind: "vector", x: 1, slices: lanes, meet: "subgroup" } as const] : []),
    ...(small && s.transB ? [{ kind: "vector", x: 4, slices: 16, meet: "workgroup" } as const] : []),
    ...(small && !software ? [{ kind: "vector", x: 16, slices: 4, meet: "workgroup" } as const] : []),
    ...(software ? [] : [{ kind: "workgroup", x: 16, y: 16, rows: 4, quads: 1, depth: 16 } as const]),
    ...(lanes >= 4 ? ([32, 16, 8] as const).map((rows): MatmulTemplate => ({ kind: "subgroup", lanes, rows, quads: 1 })) : []),
    { kind: "register", x: 8, y: 8, rows: 8, quads: 1 },
    { kind: "register", x: 8, y: 1, rows: 8, quads: 1 },
  ];
  return preferred.find((t) => unsupported(t, s, caps) === undefined) ?? preferred.at(-1)!;
}

/** What has been asked of one device: choices by class, and the shapes seen, for `tuneMatmul`. */
interface Chosen {
  version: number;
  readonly templates: Map<string, MatmulTemplate>;
  readonly seen: Map<string, MatmulShape>;
}

const chosen = new WeakMap<Gpu, Chosen>();

function chosenOn(gpu: Gpu): Chosen {
  const { version } = tunerOf(gpu);
  let mine = chosen.get(gpu);
  if (mine === undefined) chosen.set(gpu, (mine = { version, templates: new Map(), seen: new Map() }));
  if (mine.version !== version) {
    mine.templates.clear();
    mine.version = version;
  }
  return mine;
}

/** The shapes that products on this device have had so far, one a class. */
export function shapesSeen(gpu: Gpu): MatmulShape[] {
  return [...chosenOn(gpu).seen.values()];
}

/** The measured winner, else the default. Never measures. */
export function chooseTemplate(gpu: Gpu, s: MatmulShape): MatmulTemplate {
  const { templates, seen } = chosenOn(gpu);
  const key = shapeClass(s);
  const known = templates.get(key);
  if (known !== undefined) return known;
  const winner = tunerOf(gpu).lookup(FAMILY, key)?.winner;
  // A stored winner of a larger shape in the class may still not fit this one, hence the check.
  const measured = winner === undefined ? undefined : allTemplates(gpu.caps).find((t) => templateName(t) === winner && unsupported(t, s, gpu.caps) === undefined);
  const template = measured ?? defaultTemplate(s, gpu);
  templates.set(key, template);
  if (!seen.has(key)) seen.set(key, s);
  return template;
}
