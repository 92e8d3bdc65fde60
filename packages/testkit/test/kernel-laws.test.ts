import { expect, test } from "vitest";
import { kernelLaws, type Law } from "../src/index.ts";
import { FAULTS } from "./host/faults.ts";
import { hostKernel, type Fault } from "./host/kernel.ts";
import { HostEngine, hostOps } from "./host/tensor.ts";

const lawsFor = (fault?: Fault): Law[] => {
  const [engine, clean] = [new HostEngine({ poison: true }), new HostEngine({ poison: false })];
  return kernelLaws({ kernel: hostKernel(fault), engine, clean, ops: hostOps, cover: "once" });
};

for (const { name, check } of lawsFor()) test(`the float64 reference itself keeps the law: ${name}`, check);

for (const { fault, breaks, what } of FAULTS) {
  test(`a kernel that ${what} breaks the law it should: ${breaks.source}`, async () => {
    const laws = lawsFor(fault).filter(({ name }) => breaks.test(name));
    expect(laws.length).toBeGreaterThan(0);
    // Of several laws of one kind, such as the covering cases, one must find the fault.
    for (const { check } of laws) {
      const found = await check().then(() => false, () => true);
      if (found) return;
    }
    throw new Error(`none of ${laws.length} laws found it`);
  });
}

test("no law is without a fault that it finds", () => {
  expect(lawsFor().map(({ name }) => name).filter((name) => !FAULTS.some(({ breaks }) => breaks.test(name)))).toEqual([]);
});

test("a problem that a kernel refuses is a law that gives the reason in its name", () => {
  const laws = kernelLaws({ kernel: { ...hostKernel(), unsupported: ({ dtype }) => (dtype === "f16" ? ["f16 is not for me"] : []) }, engine: new HostEngine({ poison: false }), ops: hostOps, cover: "once" });
  const refused = laws.filter(({ name }) => /says why it does not take.*f16 is not for me/s.test(name));
  expect(refused.length).toBeGreaterThan(2);
  expect(laws.length - refused.length).toBeGreaterThan(refused.length);
});
