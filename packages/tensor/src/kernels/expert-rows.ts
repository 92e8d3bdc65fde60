// Pairs (token, choice) in the order of their experts, cut into tiles of one expert each.
//   ids      [N, k]    the expert of every pair; pair p = n·k + c
//   order    [P]       pairs sorted by (expert, pair)
//   tokens   [P]       their tokens
//   starts   [E + 1]   where in `order` the pairs of an expert begin
//   tiles    [T, 2]    expert and first place in `order` of every tile. Every expert starts a tile, so T = ⌊P / tile⌋ + min(E, P)
//                      is enough whatever the routing is, and the host knows it; what is left over has the expert NONE
import { defineKernel, flatGrid, flatIndex, wgsl } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";
import { sortIds } from "./sort-ids.ts";

const NO_EXPERT = "0xffffffffu";

export interface SortedPairs {
  readonly order: Tensor;
  readonly tokens: Tensor;
  readonly starts: Tensor;
  readonly tiles: Tensor;
  /** Rows of a tile. */
  readonly tile: number;
}

/** Rows of a tile: short lists would leave most of a tall one idle, long ones want tall tiles. */
const [SHORTEST, TALLEST] = [8, 64];

const cutTiles = defineKernel({
  name: "expert tiles",
  bindings: { starts: "read array<u32>", tiles: "write array<u32>" },
  params: { count: "u32", experts: "u32", tile: "u32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.count) { return; }
  var before = 0u;
  var expert = ${NO_EXPERT};
  var first = 0u;
  for (var e = 0u; e < params.experts; e++) {
    let start = starts[e];
    let own = (starts[e + 1u] - start + params.tile - 1u) / params.tile;
    let here = (i >= before) & (i < before + own);
    expert = select(expert, e, here);
    first = select(first, start + (i - before) * params.tile, here);
    before += own;
  }
  tiles[2u * i] = expert;
  tiles[2u * i + 1u] = first;
}`,
});

const tokensOf = defineKernel({
  name: "expert tokens",
  bindings: { order: "read array<u32>", tokens: "write array<u32>" },
  params: { pairs: "u32", choices: "u32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i < params.pairs) { tokens[i] = order[i] / params.choices; }
}`,
});

/** ids [N, k], u32, contiguous */
export function sortPairs(ids: Tensor, experts: number): SortedPairs {
  const { engine } = ids;
  const pairs = ids.size;
  const { order, starts } = sortIds(ids, experts);
  const tile = Math.min(TALLEST, Math.max(SHORTEST, 2 ** Math.ceil(Math.log2(pairs / experts))));
  const count = Math.floor(pairs / tile) + Math.min(experts, pairs);
  const tiles = engine.empty([count, 2], "u32");
  engine.gpu.dispatch(cutTiles, { starts: starts.slice(), tiles: tiles.slice() }, { count, experts, tile }, flatGrid(count, 64));
  const active = ids.shape[1]!;
  const tokens = active === 1 ? order : engine.empty([pairs], "u32");
  if (active > 1) engine.gpu.dispatch(tokensOf, { order: order.slice(), tokens: tokens.slice() }, { pairs, choices: active }, flatGrid(pairs, 64));
  return { order, tokens, starts, tiles, tile };
}
