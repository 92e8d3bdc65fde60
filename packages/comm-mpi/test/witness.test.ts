import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const witness = fileURLToPath(new URL("../src/witness.ts", import.meta.url));

/** What a process leaves on stderr that calls a witness, does `then`, and is killed. */
const stderrOf = (then: string): Promise<string> => new Promise((resolve) => {
  const program = `import { callWitness } from ${JSON.stringify(witness)}; const witness = callWitness(); ${then}; process.kill(process.pid, "SIGKILL");`;
  const child = spawn(process.execPath, ["--input-type=module", "--disable-warning=ExperimentalWarning", "-e", program], { stdio: ["ignore", "ignore", "pipe"] });
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (more: string) => (text += more));
  // The witness holds the same stderr, so this comes when it has spoken.
  child.stderr.on("close", () => resolve(text));
});

test("a witness speaks for a process that was killed", async () => {
  expect(await stderrOf('witness.testify("rank 2 is gone")')).toBe("rank 2 is gone\n");
});

test("a witness that was dismissed says nothing", async () => {
  expect(await stderrOf('witness.testify("rank 2 is gone"); witness.dismiss()')).toBe("");
});

test("a witness that was told nothing says nothing", async () => {
  expect(await stderrOf("")).toBe("");
});
