// Gradients of tables that score hooks learn, summed as queries walk over keys: Σ over cells of e · ∂score/∂element, with e the
// gradient of the score after the hooks.
//   out  [elements, 2] u32   a 64-bit fixed-point sum an element, low word first, the low one started at 2³¹; then one flag
//   ld   at `scaleAt`        (2ᵏ, 2⁻ᵏ): what one unit of a high word stands for, from kernels/learn-scale.ts
//
// Sums of integers do not depend on their order, so threads may add as they come and every run gives the same bits. Before
// that, each thread sums what falls on one element in a row, in registers: for an index of b and h alone that is all of its
// cells, for one of q or kv a row or a column of its tile.
import { join, linearIndex, emitWgsl, type Capture } from "@polyhead/core";
import { wgsl } from "@polyhead/gpu";
import { elementsOf, learnedTables, offsetsOf } from "@polyhead/attn-mha/kernel";
import type { FlashForm } from "../spec.ts";
import type { tableCode } from "./tables.ts";

/** The sum of an element at its start. Away from 0, so that small numbers of either sign seldom touch the high word. */
export const LOW_START: number = 2 ** 31;

/** log2 of the largest derivative of a score by an element that the scale leaves room for; beyond, the gradient is NaN. */
export const STEEPEST = 16;

/** Elements of the learned tables of a form. */
export const learnedElements = ({ program }: Pick<FlashForm, "program">): number => learnedTables(program).reduce((sum, capture) => sum + elementsOf(capture), 0);

const DEPOSIT = (flagAt: number): string => wgsl`
fn flag() { atomicStore(&out[${flagAt}u], 1u); }
fn deposit(at: u32, value: f32) {
  let size = abs(value) * ld[params.scaleAt].x;
  if (!(size < 1073741824.0)) { flag(); return; }
  let whole = floor(size);
  // Exact: what is left of 24 bits below the point, moved up by 32.
  let part = u32((size - whole) * 4294967296.0);
  let below = value < 0.0;
  let low = select(part, ~part + 1u, below);
  var high = select(u32(whole), ~u32(whole) + select(0u, 1u, part == 0u), below);
  if (low != 0u) {
    let before = atomicAdd(&out[2u * at], low);
    high += select(0u, 1u, before + low < before);
  }
  if (high != 0u) { atomicAdd(&out[2u * at + 1u], high); }
}`;

/** A place outside of every table. */
const NOWHERE = "0xffffffffu";

/** What a site adds to: WGSL of the element, of whether it is one (empty where it always is), and of the derivative of the score by it. */
interface SiteCode {
  readonly at: string;
  readonly inside: string;
  readonly slope: string;
}

/** A running sum of each site, put away when another element's turn comes: at module scope, for one cell, and at the end of a walk. */
function talliesOf(sites: readonly SiteCode[]): { readonly declared: string; readonly add: string; readonly end: string } {
  const count = sites.length;
  // Looped over, or the sums of many sites would fill a kernel with copies. The trip count is hidden from the compiler, which would unroll what it can count.
  const each = (body: string): string => `for (var n = 0u; n < select(${count}u, 0u, params.cells == 0u); n++) { ${body} }`;
  return {
    declared: wgsl`
var<private> ats = array<u32, ${count}>();
var<private> sums = array<f32, ${count}>();
fn tally(n: u32, at: u32, e: f32, slope: f32) {
  if (at != ats[n]) { deposit(ats[n], sums[n]); ats[n] = at; sums[n] = 0.0; }
  if (!(abs(slope) <= ${2 ** STEEPEST}.0)) { flag(); }
  sums[n] += e * slope;
}`,
    add: wgsl`
  var places = array<u32, ${count}>(${sites.map(({ at, inside }) => (inside === "" ? at : `select(${NOWHERE}, ${at}, ${inside})`)).join(", ")});
  var slopes = array<f32, ${count}>(${sites.map(({ slope }) => slope).join(", ")});
  ${each(`if (places[n] != ${NOWHERE}) { tally(n, places[n], e, slopes[n]); }`)}`,
    end: each("deposit(ats[n], sums[n]);"),
  };
}

/** Module-scope functions `learn(e, raw, b, h, i, j)`, for one cell, and `learnEnd()`; and those that they call. */
export function learner(form: FlashForm, read: ReturnType<typeof tableCode>["read"]): { readonly text: string; readonly helpers: Readonly<Record<string, string>> } {
  const { program } = form;
  const tables = learnedTables(program);
  const offsets: ReadonlyMap<Capture, number> = offsetsOf(tables);
  const { sites } = program;
  const { statements, results, helpers } = emitWgsl(join(...sites.flatMap(({ index, derivative }) => [index, derivative])), { read, vars: { score: "score", b: "b", h: "h", q: "q", kv: "kv" } });
  let next = 0;
  const { declared, add, end } = talliesOf(sites.map(({ capture }) => {
    const { shape } = capture;
    const index = results.slice(next, (next += shape.length));
    // A branch that is not taken may index outside of its table.
    const inside = index.map((at, axis) => `(${at} >= 0i) & (${at} < ${shape[axis]!}i)`).join(" & ");
    return { at: `${offsets.get(capture)!}u + ${linearIndex(shape, index)}`, inside, slope: results[next++]! };
  }));
  const text = wgsl`
${DEPOSIT(2 * learnedElements(form))}
${declared}
fn learn(e: f32, raw: f32, bu: u32, hu: u32, i: u32, j: u32) {
  let score = withBias(raw, bu, hu, i, j);
  let b = i32(bu);
  let h = i32(hu);
  let q = i32(i) + params.qOffset;
  let kv = i32(j) + params.kvOffset;
  ${statements}
  ${add}
}
fn learnEnd() {
  ${end}
}`;
  return { text, helpers };
}
