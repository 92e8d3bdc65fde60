import { PolyheadError } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";

/** @throws PolyheadError `FLEX_DEVICE` unless `thing` belongs to the engine that made q. */
export function checkEngine(name: string, thing: { readonly engine: Engine }, engine: Engine, fix: string): void {
  if (thing.engine === engine) return;
  throw new PolyheadError("FLEX_DEVICE", `${name} belongs to ${thing.engine.gpu === engine.gpu ? "another engine" : "another device"} than q`, fix);
}
