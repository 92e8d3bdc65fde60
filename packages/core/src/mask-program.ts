import { type Program, maskMod } from "@polyhead/expr";
import type { DocumentMask, Mask, WindowMask } from "./contracts/mask.ts";

// Masks are frozen, so a program can be kept as long as its mask lives: kernels ask at every dispatch.
const programs = new WeakMap<Mask, Program>();

/**
 * A mask as a boolean program of `b, h, q, kv` (global positions), for kernels. Agrees with `allows` cell by cell.
 * The same mask object always gives the same program.
 */
export function toProgram(mask: Mask): Program {
  let program = programs.get(mask);
  if (program === undefined) {
    program = translate(mask);
    programs.set(mask, program);
  }
  return program;
}

function translate(mask: Mask): Program {
  switch (mask.kind) {
    case "full":
      return maskMod`true`;
    case "causal":
      return maskMod`kv <= q`;
    case "window":
      return windowProgram(mask);
    case "prefix":
      return maskMod`kv <= q || kv < ${mask.length}`;
    case "document":
      return documentProgram(mask);
    case "custom":
      return mask.program;
    case "and":
      return mask.masks.map(toProgram).reduce((all, one) => maskMod`${all} && ${one}`, maskMod`true`);
    case "or":
      return mask.masks.map(toProgram).reduce((any, one) => maskMod`${any} || ${one}`, maskMod`false`);
    case "not":
      return maskMod`!${toProgram(mask.mask)}`;
  }
}

function windowProgram({ left, right }: WindowMask): Program {
  const before = left === Infinity ? maskMod`true` : maskMod`q - kv <= ${left}`;
  const after = right === Infinity ? maskMod`true` : maskMod`kv - q <= ${right}`;
  return maskMod`${before} && ${after}`;
}

/** Positions past the ids belong to no document, which the bounds say before the table is read. */
function documentProgram({ ids }: DocumentMask): Program {
  const T = ids.shape.at(-1) ?? 0;
  const same = ids.shape.length === 2 ? maskMod`${ids}[b, q] == ${ids}[b, kv]` : maskMod`${ids}[q] == ${ids}[kv]`;
  return maskMod`q < ${T} && kv < ${T} && ${same}`;
}
