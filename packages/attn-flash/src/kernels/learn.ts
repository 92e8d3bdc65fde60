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
import { learnedTables, offsetsOf } from "@polyhead/attn-mha/kernel";
import type { FlashForm } from "../spec.ts";
import type { tableCode } from "./tables.ts";

/** The sum of an element at its start. Away from 0, so that small numbers of either sign seldom touch the high word. */
export const LOW_START: number = 2 ** 31;

/** log2 of the largest derivative of a score by an element that the scale leaves room for; beyond, the gradient is NaN. */
export const STEEPEST = 16;

/** Elements of the learned tables of a form. */
export const learnedElements = ({ program }: Pick<FlashForm, "program">): number => learnedTables(program).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);

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

/** Sites up to which each has variables of its own; more of them are looped over, or their sums would fill a kernel with copies. */
const FEW = 4;

/** A running sum of a site, put away when another element's turn comes; `one` names what a site owns. */
const tally = (name: string, parameters: string, one: (part: "at" | "sum") => string): string => wgsl`
fn tally${name}(${parameters}at: u32, e: f32, slope: f32) {
  if (at != ${one("at")}) { deposit(${one("at")}, ${one("sum")}); ${one("at")} = at; ${one("sum")} = 0.0; }
  if (!(abs(slope) <= ${2 ** STEEPEST}.0)) { flag(); }
  ${one("sum")} += e * slope;
}`;

/** What sites add, as statements at the end of `learn` and of a walk, and what these need at module scope. */
interface Tallies {
  readonly declared: string;
  readonly add: string;
  readonly end: string;
}

/** A place outside of every table. */
const NOWHERE = "0xffffffffu";

function talliesOf(sites: readonly { readonly at: string; readonly inside: string; readonly slope: string }[]): Tallies {
  const guarded = (inside: string, statement: string): string => (inside === "" ? statement : `if (${inside}) { ${statement} }`);
  if (sites.length <= FEW) {
    return {
      declared: sites.map((_, n) => wgsl`
var<private> at${n}: u32 = 0u;
var<private> sum${n}: f32 = 0.0;
${tally(String(n), "", (part) => `${part}${n}`)}`).join(""),
      add: sites.map(({ at, inside, slope }, n) => guarded(inside, `tally${n}(${at}, e, ${slope});`)).join("\n  "),
      end: sites.map((_, n) => `deposit(at${n}, sum${n});`).join("\n  "),
    };
  }
  // The trip count is hidden from the compiler, which would unroll what it can count.
  const each = (body: string): string => `for (var n = 0u; n < select(${sites.length}u, 0u, params.cells == 0u); n++) { ${body} }`;
  return {
    declared: wgsl`
var<private> atAll = array<u32, ${sites.length}>();
var<private> sumAll = array<f32, ${sites.length}>();
${tally("", "n: u32, ", (part) => `${part}All[n]`)}`,
    add: wgsl`
  var places = array<u32, ${sites.length}>(${sites.map(({ at, inside }) => (inside === "" ? at : `select(${NOWHERE}, ${at}, ${inside})`)).join(", ")});
  var slopes = array<f32, ${sites.length}>(${sites.map(({ slope }) => slope).join(", ")});
  ${each(`if (places[n] != ${NOWHERE}) { tally(n, places[n], e, slopes[n]); }`)}`,
    end: each("deposit(atAll[n], sumAll[n]);"),
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
