import { createLab } from "@polyhead/core";
import { readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { research, transformers } from "../src/index.ts";

const isPlugin = (value: unknown): value is { kind: string; name: string; spec: 1 } => typeof value === "object" && value !== null && "kind" in value && "name" in value && "spec" in value && value.spec === 1;

it("a lab of a preset keeps its types: a name that no plugin has does not compile", () => {
  const lab = createLab(...transformers);
  expect(lab.find("position", "rope").name).toBe("rope");
  expect(lab.names("architecture")).toEqual(["decoder", "encoder", "encoder-decoder"]);
  // @ts-expect-error -- 'rotary' is no position
  expect(() => lab.model({ layers: 1, width: 8, vocab: 4, context: 4, attention: { use: "mha", heads: 2 }, position: { use: "rotary" }, norm: { use: "rms" }, embedding: { use: "tied" } }, undefined)).toThrow(/LAB_UNKNOWN.*rotary/s);
});

it("plugins may come twice, by a preset and by hand", () => {
  const [mha] = transformers;
  expect(createLab(...transformers, mha).names("attention")).toContain("mha");
});

it("research holds every plugin that a package exports", async () => {
  const held = new Set<unknown>(research);
  // attn-ring has no plugin to hold: one is made for a communicator.
  const folders = readdirSync(new URL("../..", import.meta.url)).filter((name) => /^(attn|pos|norm|embed)-|^model$/.test(name) && name !== "attn-ring");
  expect(folders.length).toBeGreaterThan(8);
  for (const folder of folders) {
    const exported = (await import(`@polyhead/${folder}`)) as Record<string, unknown>;
    for (const [name, value] of Object.entries(exported)) if (isPlugin(value)) expect(held.has(value), `${folder} exports ${name}`).toBe(true);
  }
});

it("a preset is frozen, as labs are", () => {
  expect(Object.isFrozen(transformers) && Object.isFrozen(research)).toBe(true);
});
