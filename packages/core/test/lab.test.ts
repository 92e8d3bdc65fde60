import { describe, expect, it, vi } from "vitest";
import { causal, createLab, definePosition, isPolyheadError, none, window } from "../src/index.ts";
import { alibi, alibiHook, caps, decoder, kernel, mha, performer, problem, rms, rope, tied } from "./fixtures.ts";

const lab = createLab(mha, performer, rope, alibi, none, rms, tied, decoder, kernel("flash"), kernel("flex", { preference: 2 }));
const spec = {
  layers: 2,
  width: 32,
  vocab: 65,
  context: 16,
  attention: { use: "mha", heads: 4 },
  position: { use: "rope" },
  norm: { use: "rms" },
  embedding: { use: "tied" },
};

/** The whole message of what a call throws. */
function messageOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (isPolyheadError(error)) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("resolve", () => {
  it("fills in every default, in its place", () => {
    expect(lab.resolve(spec)).toEqual({
      architecture: "decoder",
      layers: 2,
      width: 32,
      vocab: 65,
      context: 16,
      dropout: 0,
      mask: { kind: "causal" },
      kernel: "auto",
      attention: { use: "mha", heads: 4 },
      position: { use: "rope", base: 10000 },
      norm: { use: "rms", eps: 1e-5, place: "pre" },
      embedding: { use: "tied" },
      feedForward: { use: "gelu" },
      bias: true,
    });
  });

  it("of a resolved spec is the same, through JSON too", () => {
    const once = lab.resolve({ ...spec, feedForward: { use: "swiglu", width: 64 }, mask: window(8), bias: false });
    expect(lab.resolve(once)).toEqual(once);
    expect(lab.resolve(JSON.parse(JSON.stringify(once)))).toEqual(once);
  });

  it("freezes the spec and its parts", () => {
    const resolved = lab.resolve(spec);
    expect([resolved, resolved.attention, resolved.norm, resolved["feedForward"]].every(Object.isFrozen)).toBe(true);
  });

  it("names the nearest key of a misspelt one, at the top and inside a part", () => {
    expect(messageOf(() => lab.resolve({ ...spec, lyers: 3 }))).toBe(
      "[CONFIG_UNKNOWN_KEY] unknown key 'lyers' (value 3); expected a known key\n  fix: did you mean 'layers'? (known: architecture, attention, bias, context, dropout, embedding, feedForward, kernel, layers, mask, norm, position, vocab, width)",
    );
    expect(messageOf(() => lab.resolve({ ...spec, position: { use: "rope", bse: 1 } }))).toBe(
      "[CONFIG_UNKNOWN_KEY] unknown key 'position.bse' (value 1); expected a known key\n  fix: did you mean 'base'? (known: base, use)",
    );
    expect(messageOf(() => lab.resolve({ ...spec, feedForward: { widht: 8 } }))).toContain("did you mean 'width'?");
  });

  it("names the nearest plugin of an unknown one, and knows no prototype names", () => {
    expect(messageOf(() => lab.resolve({ ...spec, position: { use: "ropes" } }))).toBe(
      "[LAB_UNKNOWN] this lab has no position 'ropes'; it has rope, alibi, none\n  fix: did you mean 'rope'? (known: alibi, none, rope); or give createLab the plugin",
    );
    expect(messageOf(() => lab.resolve({ ...spec, kernel: "flahs" }))).toContain("did you mean 'flash'?");
    expect(messageOf(() => lab.resolve({ ...spec, toString: 1 }))).toContain("unknown key 'toString'");
  });

  it("says what a missing or ill-typed value should have been", () => {
    expect(messageOf(() => lab.resolve({ ...spec, attention: { use: "mha" } }))).toBe(
      "[CONFIG_MISSING] attention.heads is missing; expected an integer of at least 1\n  fix: add attention.heads (query heads)",
    );
    expect(messageOf(() => lab.resolve({ ...spec, layers: "2" }))).toBe(
      "[CONFIG_TYPE] layers is '2'; expected an integer of at least 1\n  fix: set layers to an integer of at least 1 (number of blocks)",
    );
    expect(messageOf(() => lab.resolve({ ...spec, norm: { use: "rms", place: "pst" } }))).toBe(
      "[CONFIG_CHOICE] norm.place is 'pst'; expected one of 'pre', 'post'\n  fix: did you mean 'post'? (known: post, pre)",
    );
    expect(messageOf(() => lab.resolve({ ...spec, width: 0 }))).toContain("[CONFIG_RANGE] width is 0; expected an integer of at least 1");
    expect(messageOf(() => lab.resolve({ ...spec, norm: "rms" }))).toBe("[CONFIG_TYPE] norm is 'rms'; expected an object\n  fix: write norm as { ... }");
    expect(messageOf(() => lab.resolve(null))).toContain("[CONFIG_TYPE] the spec is null; expected an object");
  });

  it("refuses an illegal pair with the compiler's sentence", () => {
    expect(messageOf(() => lab.resolve({ ...spec, attention: { use: "performer", heads: 4 }, position: { use: "alibi" } }))).toBe(
      "[LAB_SITE] position 'alibi' acts on 'score', which attention 'performer' does not expose\n  fix: choose a position that acts on 'embed' or 'qk', or an attention that exposes 'score'",
    );
  });

  it("needs an architecture, and says which", () => {
    expect(messageOf(() => createLab(mha, rope).resolve(spec))).toBe(
      "[LAB_NO_ARCHITECTURE] this lab has no architecture, so nothing joins its parts to a model\n  fix: give createLab an architecture, such as `decoder` of @polyhead/model",
    );
  });
});

describe("a lab", () => {
  it("is a frozen value that use() leaves alone", () => {
    const small = createLab(mha);
    const more = small.use(rope);
    expect(Object.isFrozen(small) && Object.isFrozen(small.plugins)).toBe(true);
    expect(small.names("position")).toEqual([]);
    expect(more.find("position", "rope")).toBe(rope);
  });

  it("hands the resolved spec, the architecture's own config and its parts to build", async () => {
    const built = await lab.model({ ...spec, attention: { use: "mha", heads: 4 }, position: { use: "rope" }, norm: { use: "rms", place: "post" }, embedding: { use: "tied" } }, { name: "engine" });
    expect(built).toEqual({ config: { norm: { place: "post" }, feedForward: { use: "gelu" }, bias: true }, attentionHeads: 4 });
  });

  it("tells the position the sizes of the attention's heads", () => {
    const parts = lab.parts(lab.resolve(spec));
    expect(parts.dims).toEqual({ layers: 2, width: 32, vocab: 65, context: 16, dropout: 0, causal: true, heads: 4, headDim: 8 });
    expect(parts.position.hooks.map(({ id }) => id)).toEqual(["rope"]);
  });

  it("refuses two different plugins of one name, and takes the same one twice", () => {
    expect(messageOf(() => createLab(rope, { ...rope }))).toBe(
      "[LAB_DUPLICATE] two different plugins are called position 'rope'; expected one\n  fix: rename one of them; if it is one package installed twice, deduplicate it (`npm ls` shows where)",
    );
    expect(createLab(rope, rope).names("position")).toEqual(["rope"]);
  });

  it("refuses what is no plugin, or one of another contract version", () => {
    expect(messageOf(() => createLab(undefined as never))).toContain("[LAB_NOT_A_PLUGIN] undefined is not a plugin; expected an object with a name and a kind among attention, kernel");
    expect(messageOf(() => createLab({ ...rope, spec: 2 } as never))).toBe(
      "[LAB_SPEC] position 'rope' speaks version 2 of the plugin contract; this copy of @polyhead/core speaks 1\n  fix: install versions of the plugin and of @polyhead/core that fit together",
    );
  });

  it("catches a position whose hooks leave its declared sites", () => {
    const liar = definePosition({ name: "liar", sites: ["qk"], options: {}, create: () => ({ hooks: [alibiHook] }) });
    const wide = lab.use(liar);
    expect(messageOf(() => wide.parts(wide.resolve({ ...spec, position: { use: "liar" } })))).toContain("[LAB_HOOK_SITE] position 'liar' made hook 'alibi' at 'score'");
  });

  it("plans with its own kernels, or with the one named", () => {
    expect(lab.plan(problem(), caps).kernel.name).toBe("flash");
    expect(lab.plan(problem(), caps, "flex").kernel.name).toBe("flex");
    expect(messageOf(() => lab.plan(problem(), caps, "flux"))).toContain("did you mean 'flex'?");
  });
});

describe("two copies of core in one tree", () => {
  it("share plugins, masks and errors", async () => {
    vi.resetModules();
    const other = await import("../src/index.ts");
    expect(other.createLab).not.toBe(createLab);
    const mixed = createLab(mha, other.none, rms, tied, decoder, kernel("flash"));
    const resolved = mixed.resolve({ ...spec, position: { use: "none" }, mask: other.causal() });
    expect(resolved.mask).toEqual(causal());
    expect(mixed.plan(problem({ mask: other.custom(other.maskMod`kv <= q`) }), caps).kernel.name).toBe("flash");
    expect(other.allows(causal(), { b: 0, h: 0, q: 1, kv: 2 })).toBe(false);
    const foreign = new other.PolyheadError("LAB_SITE", "given; expected", "do");
    expect(isPolyheadError(foreign, "LAB_SITE")).toBe(true);
  });

  it("say so when both bring a plugin of the same name", async () => {
    vi.resetModules();
    const other = await import("../src/index.ts");
    expect(messageOf(() => createLab(none, other.none))).toContain("[LAB_DUPLICATE] two different plugins are called position 'none'");
  });
});
