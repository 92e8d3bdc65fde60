import { PolyheadError, type OptionSpec } from "@polyhead/core";
import type { RopeScaling } from "./scaling.ts";

type RopeType = RopeScaling["ropeType"];

const factor: OptionSpec = { type: "number", min: 1, doc: "how many times further than trained" };
const trained: OptionSpec = { type: "integer", min: 2, doc: "the length that the model was trained on" };
const length: OptionSpec = { type: "integer", min: 1, doc: "the sequence length to choose frequencies for" };
const attentionFactor: OptionSpec = { type: "number", min: 0, doc: "multiplies cosines and sines" };
const byPair: OptionSpec = { type: "numbers", min: 1e-3, doc: "a divisor of the frequency for each pair" };

/** Every parameter of every scaling, as a config may hold it. */
export const SCALING: Readonly<Record<string, OptionSpec>> = {
  ropeType: { type: "choice", choices: ["default", "linear", "ntk", "dynamic", "yarn", "llama3", "longrope"], required: true, doc: "the method" },
  factor,
  originalMaxPositionEmbeddings: trained,
  length,
  attentionFactor,
  betaFast: { type: "number", min: 0, doc: "pairs that turn more often over the trained length stay as they are" },
  betaSlow: { type: "number", min: 0, doc: "pairs that turn less often are divided by the factor" },
  mscale: { type: "number", min: 0, doc: "coefficient of the attention factor" },
  mscaleAllDim: { type: "number", min: 0, doc: "coefficient of what it is divided by" },
  truncate: { type: "boolean", doc: "round the ends of the ramp to whole pairs" },
  lowFreqFactor: { type: "number", min: 0, doc: "waves with fewer turns over the trained length are divided by the factor" },
  highFreqFactor: { type: "number", min: 0, doc: "waves with more turns stay as they are" },
  shortFactor: byPair,
  longFactor: byPair,
};

/** Which of them each method must have, and which it may. */
const TAKES: Readonly<Record<RopeType, { readonly must: readonly string[]; readonly may: readonly string[] }>> = {
  default: { must: [], may: [] },
  linear: { must: ["factor"], may: [] },
  ntk: { must: ["factor"], may: [] },
  dynamic: { must: ["factor", "originalMaxPositionEmbeddings"], may: ["length"] },
  yarn: { must: [], may: ["factor", "originalMaxPositionEmbeddings", "attentionFactor", "betaFast", "betaSlow", "mscale", "mscaleAllDim", "truncate"] },
  llama3: { must: ["factor", "lowFreqFactor", "highFreqFactor", "originalMaxPositionEmbeddings"], may: [] },
  longrope: { must: ["shortFactor", "longFactor", "originalMaxPositionEmbeddings"], may: ["factor", "attentionFactor", "length"] },
};

function refuse(what: string, expected: string, fix: string): never {
  throw new PolyheadError("ROPE_SCALING", `${what}; expected ${expected}`, fix);
}

/**
 * Checks what single options cannot: which parameters go with which method, and lists of one number a pair.
 * @throws PolyheadError `ROPE_SCALING` naming the parameter.
 */
export function checkScaling(scaling: RopeScaling, rotaryDim: number): void {
  const { ropeType } = scaling;
  const { must, may } = TAKES[ropeType];
  const all = [...must, ...may];
  const given = Object.entries<unknown>({ ...scaling }).filter(([name, value]) => name !== "ropeType" && value !== undefined).map(([name]) => name);
  const missing = must.find((name) => !given.includes(name));
  if (missing !== undefined) refuse(`position.scaling of type '${ropeType}' has no ${missing}`, must.join(", "), `add position.scaling.${missing}`);
  const alien = given.find((name) => !all.includes(name));
  if (alien !== undefined) refuse(`position.scaling.${alien} means nothing to '${ropeType}'`, all.length === 0 ? "no parameters" : all.join(", "), "leave it out, or choose the method it belongs to");
  if (ropeType === "yarn" && scaling.factor === undefined && scaling.originalMaxPositionEmbeddings === undefined) {
    refuse("position.scaling of type 'yarn' says neither factor nor originalMaxPositionEmbeddings", "one of them at least", "give the length that the model was trained on; the factor is then context over it");
  }
  if ((ropeType === "ntk" || ropeType === "dynamic") && rotaryDim < 4) refuse(`'${ropeType}' with ${rotaryDim} rotated elements`, "at least 4, so that a pair may turn slower than the first", "choose 'linear', or turn more elements");
  if (ropeType === "llama3" && scaling.highFreqFactor <= scaling.lowFreqFactor) refuse(`highFreqFactor is ${scaling.highFreqFactor} and lowFreqFactor is ${scaling.lowFreqFactor}`, "the first above the second", "Llama 3.1 has 4 and 1");
  if (ropeType !== "longrope") return;
  for (const [name, list] of Object.entries({ shortFactor: scaling.shortFactor, longFactor: scaling.longFactor })) {
    if (list.length !== rotaryDim / 2) refuse(`position.scaling.${name} has ${list.length} numbers for ${rotaryDim / 2} pairs`, "one a pair", "give as many as half the elements that are rotated");
  }
}
