import { isPlaceholder, isProgram, PolyheadError, scoreHook, suggest, type BoundHook, type Program, type ScoreHook } from "@polyhead/core";
import { captureTensor, type Engine, type Tensor } from "@polyhead/tensor";
import { checkEngine } from "./own-engine.ts";

/** What acts on scores: a scoreMod program, a score hook of a position encoding, or several of them, first to last. */
export type ScoreMod = Program | ScoreHook | readonly (Program | ScoreHook)[];

const hooks = new WeakMap<Program, ScoreHook>();

/** Score modifiers as hooks; a program is derived once, however often it is passed. @throws PolyheadError `FLEX_SCORE_MOD`. */
export function hooksOf(scoreMod: ScoreMod | undefined): readonly ScoreHook[] {
  if (scoreMod === undefined) return [];
  return (Array.isArray(scoreMod) ? (scoreMod as readonly (Program | ScoreHook)[]) : [scoreMod as Program | ScoreHook]).map(hookOf);
}

function hookOf(mod: Program | ScoreHook): ScoreHook {
  const given: unknown = mod;
  if (isProgram(given)) {
    let hook = hooks.get(given);
    if (hook === undefined) {
      if (!("score" in given.vars)) throw notAScoreMod(`a program of (${Object.keys(given.vars).join(", ")}) that yields ${given.type}`);
      hooks.set(given, (hook = scoreHook({ id: "scoreMod", program: given })));
    }
    return hook;
  }
  if (typeof given === "object" && given !== null && "site" in given && given.site === "score") return given as ScoreHook;
  throw notAScoreMod(typeof given === "function" ? "a function" : typeof given === "object" && given !== null && "site" in given ? `a hook at site '${String(given.site)}'` : typeof given);
}

function notAScoreMod(given: string): PolyheadError {
  return new PolyheadError("FLEX_SCORE_MOD", `scoreMod is ${given}; expected a program of (score, b, h, q, kv), or a score hook`, "write it with scoreMod`score + ...`, or scoreMod(({ score }) => ...)");
}

/**
 * Binds learned captures to tensors by name; those that `tables` leaves out keep their own numbers, without a gradient.
 *
 * @throws PolyheadError `FLEX_TABLE` for a table that nobody reads, is missing or has another size; `FLEX_DEVICE`.
 */
export function bindTables(engine: Engine, mods: readonly ScoreHook[], tables: Readonly<Record<string, Tensor>>): readonly BoundHook<Tensor, ScoreHook>[] {
  const learned = mods.flatMap(({ program }) => program.captures.filter((capture) => capture.learned));
  const names = [...new Set(learned.map(({ name }) => name))];
  for (const [name, tensor] of Object.entries(tables)) {
    if (!names.includes(name)) {
      const fix = names.length === 0 ? "capture it with { learned: true, name }, or use placeholder(shape, { name })" : suggest(name, names);
      throw new PolyheadError("FLEX_TABLE", `tables has '${name}'; the score modifiers learn ${names.length === 0 ? "nothing" : names.map((known) => `'${known}'`).join(", ")}`, fix);
    }
    checkEngine(`table '${name}'`, tensor, engine, "make it with the engine that made q: q.engine.tensor(...)");
  }
  return mods.map((hook) => {
    const params = hook.program.captures.flatMap((capture) => {
      if (!capture.learned) return [];
      const { name, shape } = capture;
      const tensor = tables[name];
      if (tensor === undefined && isPlaceholder(capture)) throw new PolyheadError("FLEX_TABLE", `placeholder '${name}' of shape [${shape.join(", ")}] has no numbers, and tables has no '${name}'`, `pass tables: { ${name}: tensor }`);
      if (tensor !== undefined && (tensor.shape.length !== shape.length || tensor.shape.some((n, axis) => n !== shape[axis]))) {
        throw new PolyheadError("FLEX_TABLE", `table '${name}' has shape [${tensor.shape.join(", ")}]; its capture has [${shape.join(", ")}]`, "pass a tensor of the capture's shape");
      }
      return [[name, tensor ?? captureTensor(engine, capture)] as const];
    });
    return { hook, params: Object.fromEntries(params) };
  });
}
