import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Launcher } from "@polyhead/comm-mpi";
import { NODE, run, tail, type Judged } from "./run.ts";

/** Two machines that are none: network namespaces with names of their own, and one cable between them. */
interface Hosts {
  /** A command that is run on the first one. */
  onFirst(command: readonly string[]): readonly string[];
  /** In place of ssh. */
  readonly agent: string;
  /** Bytes that have arrived at the second one. */
  arrived(): number;
  remove(): void;
}

const NETWORK = "10.77.0.0/24";
/** On both hosts. */
const DEVICE = "cable0";
const ADDRESSES = ["10.77.0.1", "10.77.0.2"] as const;

function ip(...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
  return stdout;
}

/** Undoes what it can. */
const drop = (name: string): void => void spawnSync("ip", ["netns", "del", name]);

/** A second or so: until then MPICH's network layer sees no cable, and looks for the other host on this one. */
function waitUntilUp(name: string): void {
  for (let i = 0; i < 50; i++) {
    const [link] = JSON.parse(ip("-n", name, "-j", "link", "show", DEVICE)) as { operstate: string }[];
    if (link?.operstate === "UP") return;
    spawnSync("sleep", ["0.1"]);
  }
  throw new Error(`the cable of ${name} does not come up`);
}

/** @throws Error that says what this machine does not allow. */
function connect(): Hosts {
  const names = ["a", "b"].map((end) => `ph-${process.pid}-${end}`);
  const [first, second] = names as [string, string];
  const folder = mkdtempSync(join(tmpdir(), "polyhead-hosts-"));
  const remove = (): void => {
    for (const name of names) drop(name);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (const name of names) ip("netns", "add", name);
    ip("link", "add", DEVICE, "netns", first, "type", "veth", "peer", "name", DEVICE, "netns", second);
    for (const [i, name] of names.entries()) {
      ip("-n", name, "addr", "add", `${ADDRESSES[i]!}/24`, "dev", DEVICE);
      for (const device of ["lo", DEVICE]) ip("-n", name, "link", "set", device, "up");
    }
    for (const name of names) waitUntilUp(name);
    const { status, stderr, error } = spawnSync("ip", ["netns", "exec", first, "unshare", "--uts", "true"], { encoding: "utf8" });
    if (status !== 0) throw new Error(error?.message ?? stderr.trim());
  } catch (error) {
    remove();
    throw error;
  }
  const agent = join(folder, "agent");
  writeFileSync(agent, [
    "#!/bin/sh",
    'while :; do case "$1" in -*) shift ;; *) break ;; esac; done',
    `case "$1" in ${ADDRESSES[0]}) host=${first} ;; *) host=${second} ;; esac`,
    "shift",
    `exec ip netns exec "$host" unshare --uts sh -c 'hostname "$0"; eval "$@"' "$host" "$@"`,
    "",
  ].join("\n"), { mode: 0o755 });
  return {
    agent, remove,
    onFirst: (command) => ["ip", "netns", "exec", first, "unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', first, ...command],
    arrived() {
      const [link] = JSON.parse(ip("-n", second, "-j", "-s", "link", "show", DEVICE)) as { stats64: { rx: { bytes: number } } }[];
      return link!.stats64.rx.bytes;
    },
  };
}

function launch({ family, command }: Launcher, { agent }: Hosts): { readonly command: readonly string[]; readonly env: Record<string, string> } {
  if (family === "mpich") {
    return {
      command: [command, "-launcher", "ssh", "-launcher-exec", agent, "-hosts", ADDRESSES.join(","), "-ppn", "2", "-iface", DEVICE, "-n", "4"],
      env: { UCX_TLS: "tcp,self", UCX_NET_DEVICES: DEVICE },
    };
  }
  const mca = { plm_rsh_agent: agent, btl: "tcp,self", btl_tcp_if_include: NETWORK, oob_tcp_if_include: NETWORK };
  const hosts = ADDRESSES.map((address) => `${address}:2`).join(",");
  return { command: [command, "--host", hosts, "--bind-to", "none", ...Object.entries(mca).flatMap(([key, value]) => ["--mca", key, value]), "-n", "4"], env: {} };
}

/** The least that the steps send from the first host to the second: rank 1's message to rank 2, 40 times 1 MiB. */
const LEAST_BYTES = 40 * 2 ** 20;

/** 2 + 2 ranks on two hosts that see each other over a cable alone; a reason where the machine does not allow it. */
export async function twoHosts(launcher: Launcher): Promise<Judged | { readonly skipped: string }> {
  let hosts: Hosts;
  try {
    hosts = connect();
  } catch (error) {
    return { skipped: error instanceof Error ? error.message : String(error) };
  }
  try {
    const before = hosts.arrived();
    const { command, env } = launch(launcher, hosts);
    const program = [...NODE, "packages/comm-mpi/test/programs/steps.ts"];
    const { code, stdout, output } = await run(hosts.onFirst([...command, ...program]), { env: { ...launcher.env, ...env }, seconds: launcher.family === "mpich" ? 30 : 60 });
    const bytes = hosts.arrived() - before;
    const done = stdout.includes("steps: 40 done on 4 ranks");
    // MPICH 4.0.2 over UCX's TCP often does not return from MPI_Finalize, in a C program of the same calls neither.
    const inFinalize = done && code === 124 && launcher.family === "mpich";
    if (inFinalize) console.log("note mpich: every step was done, and MPI_Finalize did not return: a defect of MPICH over TCP, which C programs have, too");
    const failure = !done || (code !== 0 && !inFinalize) ? `exit code ${code}; ${tail(output)}`
      : bytes < LEAST_BYTES ? `${bytes} bytes went over the cable, at least ${LEAST_BYTES} must` : "";
    return { case: "2 + 2 ranks on two hosts", failure };
  } finally {
    hosts.remove();
  }
}
