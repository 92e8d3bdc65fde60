import { affineConjuncts, type Capture, type Program, capture, evaluate } from "@polyhead/expr";
import type { ScoreIndex } from "./contracts/hooks.ts";
import type { AndMask, CausalMask, CustomMask, DocumentMask, FullMask, Mask, NotMask, OrMask, PrefixMask, WindowMask } from "./contracts/mask.ts";
import { isRecord, show } from "./config.ts";
import { PolyheadError } from "./errors.ts";
import { suggest } from "./nearest.ts";

const KINDS: readonly Mask["kind"][] = ["full", "causal", "window", "prefix", "document", "custom", "and", "or", "not"];

function checkExtent(name: string, value: unknown, infinite: boolean): number {
  if (typeof value === "number" && value >= 0 && (Number.isInteger(value) || (infinite && value === Infinity))) return value;
  throw new PolyheadError(
    "MASK_EXTENT",
    `${name} is ${show(value)}; expected an integer of at least 0${infinite ? ", or Infinity" : ""}`,
    `set ${name} to a number of positions`,
  );
}

/** Every key is allowed. */
export function full(): FullMask {
  return Object.freeze({ kind: "full" });
}

/** A query sees the keys up to its own global position: with a cache, the mask is aligned bottom-right. */
export function causal(): CausalMask {
  return Object.freeze({ kind: "causal" });
}

/**
 * A query sees `left` positions before it and `right` after it, itself included; Infinity opens a side.
 * The default `right = 0` is the causal sliding window.
 * @throws PolyheadError MASK_EXTENT
 */
export function window(left: number, right = 0): WindowMask {
  return Object.freeze({ kind: "window", left: checkExtent("left", left, true), right: checkExtent("right", right, true) });
}

/**
 * Causal, except that everybody sees the first `length` positions.
 * @throws PolyheadError MASK_EXTENT
 */
export function prefix(length: number): PrefixMask {
  return Object.freeze({ kind: "prefix", length: checkExtent("length", length, false) });
}

/**
 * Query and key must belong to the same document. `ids` is indexed by global position: shape `[T]` for all batch rows
 * alike, or `[B, T]`.
 * @throws PolyheadError MASK_DOCUMENT if the shape is neither or does not hold the ids.
 */
export function document(ids: Int32Array, shape: readonly number[] = [ids.length]): DocumentMask {
  if ((shape.length !== 1 && shape.length !== 2) || shape.reduce((a, b) => a * b, 1) !== ids.length) {
    throw new PolyheadError("MASK_DOCUMENT", `${String(ids.length)} document ids of shape [${shape.join(", ")}]; expected [T] or [B, T]`, "give one id for each position");
  }
  return Object.freeze({ kind: "document", ids: capture(ids, [...shape], { name: "documents" }) });
}

/**
 * A mask of one's own: custom(maskMod`kv <= q && q - kv < ${W}`).
 * @throws PolyheadError MASK_PROGRAM if the program is not boolean.
 */
export function custom(program: Program): CustomMask {
  if (program.type !== "bool") throw new PolyheadError("MASK_PROGRAM", `the program yields ${program.type}; expected bool`, "write it with maskMod");
  return Object.freeze({ kind: "custom", program });
}

/** Allowed by all of them. */
export function and(...masks: readonly Mask[]): AndMask {
  return Object.freeze({ kind: "and", masks: Object.freeze([...masks]) });
}

/** Allowed by at least one of them. */
export function or(...masks: readonly Mask[]): OrMask {
  return Object.freeze({ kind: "or", masks: Object.freeze([...masks]) });
}

/** Allowed where `mask` is not. */
export function not(mask: Mask): NotMask {
  return Object.freeze({ kind: "not", mask });
}

/** The document of a position; positions outside the ids belong to none. */
function documentOf({ data, shape }: Capture, b: number, position: number): number | undefined {
  const T = shape.at(-1) ?? 0;
  if (position < 0 || position >= T) return undefined;
  return data[shape.length === 2 ? b * T + position : position];
}

/** The law of a mask: whether the query at global position `q` may see the key at global position `kv`. */
export function allows(mask: Mask, at: ScoreIndex): boolean {
  const { b, q, kv } = at;
  switch (mask.kind) {
    case "full":
      return true;
    case "causal":
      return kv <= q;
    case "window":
      return q - kv <= mask.left && kv - q <= mask.right;
    case "prefix":
      return kv <= q || kv < mask.length;
    case "document": {
      const id = documentOf(mask.ids, b, q);
      return id !== undefined && id === documentOf(mask.ids, b, kv);
    }
    case "custom":
      return Boolean(evaluate(mask.program, { ...at })[0]);
    case "and":
      return mask.masks.every((one) => allows(one, at));
    case "or":
      return mask.masks.some((one) => allows(one, at));
    case "not":
      return !allows(mask.mask, at);
  }
}

/** Whether a mask is seen to let no query look at a key after it. */
export function isCausal(mask: Mask): boolean {
  switch (mask.kind) {
    case "causal":
      return true;
    case "window":
      return mask.right === 0;
    case "and":
      return mask.masks.some(isCausal);
    case "or":
      return mask.masks.every(isCausal);
    case "custom":
      return affineConjuncts(mask.program).upper.some(({ q, offset }) => q === 1 && offset <= 0);
    case "full":
    case "prefix":
    case "document":
    case "not":
      return false;
  }
}

/** A mask in words, for plans and errors. */
export function describe(mask: Mask): string {
  switch (mask.kind) {
    case "window":
      return `window(${String(mask.left)}, ${String(mask.right)})`;
    case "prefix":
      return `prefix(${String(mask.length)})`;
    case "document":
      return `document([${mask.ids.shape.join(", ")}])`;
    case "and":
    case "or":
      return `${mask.kind}(${mask.masks.map(describe).join(", ")})`;
    case "not":
      return `not(${describe(mask.mask)})`;
    default:
      return mask.kind;
  }
}

/** Sizes and offsets of a mask to be spelled out. */
export interface MaskSizes {
  readonly batch?: number;
  readonly heads?: number;
  readonly queries: number;
  readonly keys: number;
  readonly qOffset?: number;
  readonly kvOffset?: number;
}

/** The mask cell by cell, `[batch, heads, queries, keys]`: 1 is allowed. For tests and pictures, not for kernels. */
export function materialize(mask: Mask, { batch = 1, heads = 1, queries, keys, qOffset = 0, kvOffset = 0 }: MaskSizes): Uint8Array {
  const cells = new Uint8Array(batch * heads * queries * keys);
  let at = 0;
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < queries; i++) {
        for (let j = 0; j < keys; j++) cells[at++] = allows(mask, { b, h, q: qOffset + i, kv: kvOffset + j }) ? 1 : 0;
      }
    }
  }
  return cells;
}

function asMasks(value: unknown): readonly Mask[] {
  if (Array.isArray(value)) return value.map((one: unknown) => checkMask(one));
  throw new PolyheadError("MASK_KIND", `masks is ${show(value)}; expected a list of masks`, "write { kind: 'and', masks: [...] }");
}

/**
 * A mask from a spec, possibly from JSON (where documents and programs cannot come from).
 * @throws PolyheadError MASK_KIND, MASK_EXTENT.
 */
export function checkMask(value: unknown): Mask {
  if (!isRecord(value) || typeof value["kind"] !== "string") {
    throw new PolyheadError("MASK_KIND", `the mask is ${show(value)}; expected an object with a kind`, "use causal(), or { \"kind\": \"causal\" } in JSON");
  }
  const { kind } = value;
  switch (kind) {
    case "full":
      return full();
    case "causal":
      return causal();
    case "window":
      return window(value["left"] as number, value["right"] as number | undefined);
    case "prefix":
      return prefix(value["length"] as number);
    case "and":
      return and(...asMasks(value["masks"]));
    case "or":
      return or(...asMasks(value["masks"]));
    case "not":
      return not(checkMask(value["mask"]));
    case "document":
      if (isRecord(value["ids"]) && value["ids"]["data"] instanceof Int32Array) return value as unknown as DocumentMask;
      break;
    case "custom":
      if (isRecord(value["program"]) && Array.isArray(value["program"]["outputs"])) return value as unknown as CustomMask;
      break;
    default:
      throw new PolyheadError("MASK_KIND", `unknown mask '${kind}'`, suggest(kind, KINDS));
  }
  throw new PolyheadError("MASK_KIND", `a mask of kind '${kind}' holds code or arrays, which JSON cannot carry`, `make it with ${kind}(...) and pass the object`);
}
