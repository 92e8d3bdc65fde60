import { describe, expect, it } from "vitest";
import { parseOrder, sandwichOrder } from "../src/index.ts";

const read = (order: string, layers: number, cross = false): string => parseOrder(order, { layers, cross }).map((step) => (step.length > 1 ? `[${step.join("")}]` : step[0])).join("");

describe("an order", () => {
  it.each([
    ["sf", 1, "sf"],
    ["(sf)3", 3, "sfsfsf"],
    ["s2(sf)2f2", 4, "sssfsfff"],
    ["[sf]2", 2, "[sf][sf]"],
    ["(wfsf)2", 4, "wfsfwfsf"],
    ["(sf)1(sm)2", 3, "sfsmsm"],
    ["((s2f)2m)2", 8, "ssfssfmssfssfm"],
    ["[swf]f", 2, "[swf]f"],
  ])("%s is read as its letters", (order, layers, letters) => {
    expect(read(order, layers)).toBe(letters);
  });

  it("with a name is the letters that it stands for", () => {
    expect(read("interleaved", 2)).toBe("sfsf");
    expect(read("parallel", 2)).toBe("[sf][sf]");
    expect(read("sandwich:1", 3)).toBe("ssfsff");
    expect(read("sandwich:0", 2)).toBe(read("interleaved", 2));
    expect(read("sandwich:2", 2)).toBe("ssff");
    expect(sandwichOrder(16, 6)).toBe("s6(sf)10f6");
  });

  it("has a cross-attention after every self-attention, where there is an encoder and it has a name", () => {
    expect(read("interleaved", 2, true)).toBe("scfscf");
    expect(read("parallel", 1, true)).toBe("[scf]");
    expect(read("sandwich:2", 3, true)).toBe("scscscfff");
    expect(read("(sfcf)1", 1, true)).toBe("sfcf");
  });

  it.each([
    ["(sf", 1, /'\(' is never closed, at place 1 .*\n {2}\(sf\n {2}\^/s],
    ["s(f]", 1, /'\]' is no letter of an order, at place 4/],
    ["sxf", 1, /'x' is no letter of an order, at place 2 .*\n {2}sxf\n {3}\^/s],
    ["scf", 1, /'c' is cross-attention, and there is no encoder, at place 2/],
    ["[s(f)]", 1, /'\(' is no letter of an order, at place 3/],
    ["s0f", 1, /a count of 0, at place 2/],
    ["()", 1, /an empty group, at place 1/],
    ["s[]f", 1, /branches of nothing, at place 2/],
    ["", 1, /the order is empty/],
    ["3s", 1, /'3' is no letter/],
    ["(sf)2", 3, /has 2 self-attentions; layers is 3.*set layers to 2/s],
    ["(((s9999)9999)9999)9999", 1, /more than 10000 sublayers, at place 3/],
    ["(".repeat(2000), 1, /an order of 2000 characters/],
    ["sandwich:4", 3, /a sandwich of 4 in 3 layers/],
  ])("%.30s of %i layers is refused, naming the place", (order, layers, message) => {
    expect(() => read(order, layers)).toThrow(/CONFIG_ORDER/);
    expect(() => read(order, layers)).toThrow(message);
  });

  it("that never looks at the encoder is refused", () => {
    expect(() => read("(sf)2", 2, true)).toThrow(/CONFIG_ORDER.*never attends to the encoder/s);
  });
});
