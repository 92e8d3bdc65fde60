import { simulateRing } from "@polyhead/attn-ring/planning";
import { expect, it } from "vitest";
import { help, readOptions } from "../arguments.ts";
import { machineOf, planReport, planText, problemOf } from "../plan.ts";
import { reportHtml } from "../report.ts";

/** Cells of the first row that begins with a name. */
const row = (page: string, name: string): string[] => page.split("\n").find((line) => line.startsWith(name))!.slice(name.length).trim().split(/ {2,}/);

it("a million tokens on 1,024 devices: about 36 % with as many key heads as heads, about 73 % with an eighth", () => {
  const efficiency = (...more: string[]): number => {
    const options = readOptions(["--plan", "--devices", "1024", "--seq", String(2 ** 20), "--flops", "10e12", "--link", "12.5e9", ...more]);
    return 100 * simulateRing(problemOf(options), machineOf(options), "forward").utilisation;
  };
  expect(efficiency()).toBeCloseTo(36.5, 0);
  expect(efficiency("--kv-heads", "4")).toBeCloseTo(73, 0);
});

it("a plan has memory, times, hiding block size, every layout's balance, and the simulation beside the law", () => {
  const page = planText(readOptions(["--plan", "--devices", "8", "--seq", "8192", "--kv-heads", "8", "--flops", "1e12", "--link", "1e9"]));
  expect(row(page, "memory a device")[0]).toMatch(/MiB$/);
  expect(row(page, "transfer hides from")[0]).toBe("500 tokens a rank");
  expect(row(page, "contiguous").slice(0, 2)).toEqual(["53.3 %", "53.3 %"]);
  expect(row(page, "zigzag").slice(0, 2)).toEqual(["100.0 %", "100.0 %"]);
  const [law, simulated] = ["time by the law", "time simulated"].map((name) => parseFloat(row(page, name)[0]!));
  expect(Math.abs(law! / simulated! - 1)).toBeLessThan(0.02);
  expect(page).toContain("gathering heads");
});

it("a window is simulated, and said to have no law", () => {
  const page = planText(readOptions(["--plan", "--devices", "8", "--seq", "8192", "--window", "500"]));
  expect(page).not.toContain("time by the law");
  expect(page).toContain("the law of equal steps does not hold for a window");
  expect(page).toContain("time simulated");
});

it("the report is one page without outside parts that draws each rank, for light and dark", () => {
  const page = reportHtml(planReport(readOptions(["--plan", "--devices", "3", "--seq", "3000", "--flops", "1e11"])));
  expect(page).not.toMatch(/(src|href)=|@import|https?:\/\//);
  expect(page).toContain("prefers-color-scheme:dark");
  expect(page.match(/<svg /g)).toHaveLength(3);
  // Nine blocks computed in each phase; six hops of keys in each, and six sums.
  expect(page.match(/class="compute"/g)).toHaveLength(18);
  expect(page.match(/class="transfer"/g)).toHaveLength(18);
  for (const rank of [0, 1, 2]) expect(page).toContain(`>rank ${rank}<`);
});

it("a page of many ranks stays small", () => {
  const page = reportHtml(planReport(readOptions(["--plan", "--devices", "256", "--seq", "262144"])));
  expect(page.length).toBeLessThan(2_000_000);
  expect(page).toContain("The first 32 of 256 ranks");
});

it("what is written wrong is named", () => {
  expect(() => readOptions(["--layout", "zigzak"])).toThrow(/ARGUMENT_CHOICE.*did you mean 'zigzag'/s);
  expect(() => readOptions(["--window", "5", "--full"])).toThrow(/ARGUMENT_CLASH.*--full and --window are two masks/s);
  expect(() => readOptions(["--heads", "4", "--kv-heads", "3"])).toThrow(/--kv-heads is 3; expected a divisor of the 4 heads/);
  expect(() => readOptions(["--dtype", "bf16"])).toThrow(/bf16 is for plans/);
  expect(() => readOptions(["--plan", "--link", "0"])).toThrow(/--link is '0'; expected a number above 0/);
});

it("help lists every option that the reader knows", () => {
  const listed = [...help().matchAll(/^ {2}--([a-z-]+)/gm)].map((match) => match[1]!);
  for (const name of listed) expect(() => readOptions([`--${name}`, `--${name}`])).not.toThrow(/ARGUMENT_UNKNOWN/);
  expect(listed).toHaveLength(24);
});
