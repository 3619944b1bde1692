// Starts workerd, says where it listens, and sees to it that workerd does not outlive the program that wants it.
//
// The first line of stdin is the configuration:
//   {"module_roots": [folders to look for workerd from], "folder": where the databases are, "database_id", "secret"}
// One line of stdout answers: {"port", "workerd": version, "node": version, "pid": workerd's} or {"error", "detail"}.
// After that the program says nothing. It kills workerd and ends when stdin closes, which a parent that dies in any
// way brings about, or on SIGTERM, SIGINT and SIGHUP; it ends when workerd does. workerd's log goes to stderr.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const OLDEST_NODE = 22;
const START_SECONDS = 30;

let workerd;
let stopping = false;

function stop() {
  stopping = true;
  // SIGKILL: a transaction that is not committed is rolled back when the file is opened again. The program ends with
  // workerd's `exit`, so that whoever waits for it knows that the file is free.
  if (workerd === undefined || !workerd.kill("SIGKILL")) process.exit(0);
}

process.on("exit", () => workerd?.kill("SIGKILL"));

function fail(error, detail) {
  console.log(JSON.stringify({ error, detail }));
  process.exit(1);
}

// Wrangler's own workerd comes first: the file that both open is then read by one version.
function findWorkerd(roots) {
  const reasons = [];
  for (const root of roots) {
    for (const path of [["wrangler"], ["miniflare"], []]) {
      try {
        let require = createRequire(join(root, "_"));
        for (const name of path) require = createRequire(require.resolve(name));
        return require("workerd");
      } catch (error) {
        if (error.code !== "MODULE_NOT_FOUND") reasons.push(error.message);
      }
    }
  }
  return fail("workerd-not-found", reasons[0] ?? null);
}

function start(config) {
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) fail("node-too-old", process.versions.node);
  const { default: command, version } = findWorkerd(config.module_roots);
  const here = fileURLToPath(new URL(".", import.meta.url));
  workerd = spawn(
    command,
    [
      "serve",
      "--experimental",
      `--directory-path=databases=${config.folder}`,
      "--control-fd=3",
      join(here, "config.capnp"),
    ],
    {
      stdio: ["ignore", 2, 2, "pipe"],
      env: { TZ: "UTC", D1OPS_DATABASE_ID: config.database_id, D1OPS_SECRET: config.secret },
    },
  );
  workerd.on("error", (error) => fail("workerd-failed", error.message));
  workerd.on("exit", (code, signal) => {
    if (!stopping) console.error(`workerd ended: ${signal ?? code}`);
    process.exit(stopping ? 0 : 1);
  });
  const late = setTimeout(
    () => fail("workerd-failed", `it did not listen within ${START_SECONDS} s`),
    START_SECONDS * 1000,
  );
  createInterface({ input: workerd.stdio[3] }).on("line", (line) => {
    const { event, port } = JSON.parse(line);
    if (event !== "listen") return;
    clearTimeout(late);
    console.log(JSON.stringify({ port, workerd: version, node: process.versions.node, pid: workerd.pid }));
  });
}

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, stop);
const stdin = createInterface({ input: process.stdin });
stdin.once("line", (line) => start(JSON.parse(line)));
stdin.on("close", stop);
