import { describe, expectTypeOf, it } from "vitest";
import { createLab, none } from "../src/index.ts";
import { type BuiltDecoder, alibi, decoder, kernel, mha, performer, rms, rope, tied } from "./fixtures.ts";

// The compiler checks this file; the calls are never made.
const lab = createLab(mha, performer, rope, alibi, none, rms, tied, decoder, kernel("flash"));
const sizes = { layers: 1, width: 8, vocab: 4, context: 4 };
const rest = { norm: { use: "rms" }, embedding: { use: "tied" } } as const;
const engine = { name: "engine" };
const never = (_call: () => unknown): void => undefined;

describe("the compiler", () => {
  it("accepts every legal pair with the options of its plugins and of the architecture", () => {
    never(() => lab.model({ ...sizes, ...rest, attention: { use: "mha", heads: 4, kvHeads: 2 }, position: { use: "alibi" } }, engine));
    never(() => lab.model({ ...sizes, ...rest, attention: { use: "performer", heads: 4 }, position: { use: "rope", base: 5e5 } }, engine));
    never(() => lab.model({ ...sizes, attention: { use: "mha", heads: 4 }, position: { use: "none" }, norm: { use: "rms", eps: 1e-6, place: "post" }, embedding: { use: "tied" }, feedForward: { use: "swiglu", width: 8 }, bias: false, kernel: "flash" }, engine));
    expectTypeOf<ReturnType<typeof lab.build>>().toEqualTypeOf<Promise<BuiltDecoder>>();
  });

  it("says the sentence of an illegal pair", () => {
    type Illegal = Parameters<typeof lab.model<"performer", "alibi">>[0]["position"];
    expectTypeOf<Illegal["error"]>().toEqualTypeOf<"position 'alibi' acts on 'score', which attention 'performer' does not expose">();
    // @ts-expect-error alibi acts on 'score', which performer does not expose
    never(() => lab.model({ ...sizes, ...rest, attention: { use: "performer", heads: 4 }, position: { use: "alibi" } }, engine));
  });

  it("refuses misspelt keys, unknown plugins, missing options and wrong values", () => {
    // @ts-expect-error rope has no option 'bse'
    never(() => lab.model({ ...sizes, ...rest, attention: { use: "mha", heads: 4 }, position: { use: "rope", bse: 1 } }, engine));
    // @ts-expect-error 'none' has no options at all
    never(() => lab.model({ ...sizes, ...rest, attention: { use: "mha", heads: 4 }, position: { use: "none", base: 1 } }, engine));
    // @ts-expect-error the lab has no position 't5'
    never(() => lab.model({ ...sizes, ...rest, attention: { use: "mha", heads: 4 }, position: { use: "t5" } }, engine));
    // @ts-expect-error mha needs heads
    never(() => lab.model({ ...sizes, ...rest, attention: { use: "mha" }, position: { use: "none" } }, engine));
    // @ts-expect-error the spec has no key 'lyers'
    never(() => lab.model({ ...sizes, ...rest, lyers: 2, attention: { use: "mha", heads: 4 }, position: { use: "none" } }, engine));
    // @ts-expect-error norm.place is 'pre' or 'post'
    never(() => lab.model({ ...sizes, attention: { use: "mha", heads: 4 }, position: { use: "none" }, norm: { use: "rms", place: "side" }, embedding: { use: "tied" } }, engine));
    // @ts-expect-error the lab has no kernel 'flesh'
    never(() => lab.model({ ...sizes, ...rest, attention: { use: "mha", heads: 4 }, position: { use: "none" }, kernel: "flesh" }, engine));
    // @ts-expect-error the decoder wants an engine with a name
    never(() => lab.model({ ...sizes, ...rest, attention: { use: "mha", heads: 4 }, position: { use: "none" } }, {}));
  });

  it("knows the plugins that use() adds, and those only", () => {
    const small = createLab(mha, rms, tied, decoder, none);
    // @ts-expect-error rope has not been given
    never(() => small.model({ ...sizes, ...rest, attention: { use: "mha", heads: 4 }, position: { use: "rope" } }, engine));
    const more = small.use(rope);
    never(() => more.model({ ...sizes, ...rest, attention: { use: "mha", heads: 4 }, position: { use: "rope" } }, engine));
    expectTypeOf(more.names("position")).toEqualTypeOf<readonly ("none" | "rope")[]>();
  });
});
