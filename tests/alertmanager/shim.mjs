#!/usr/bin/env node
// Bellwire in the place of Alertmanager, for programs that start one: translates the flags, says
// where it listens as Alertmanager does, and passes signals on. `BELLWIRE` names the binary.
// CONTRIBUTING.md says how Alertmanager's own acceptance tests run with it.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const flags = new Map();
const given = process.argv.slice(2);
for (let index = 0; index < given.length; index++) {
  const [name, value] = given[index].split(/=(.*)/s);
  flags.set(name, value ?? given[++index]);
}

const bellwire = spawn(
  process.env.BELLWIRE ?? "bellwire",
  [
    "serve",
    "--listen", flags.get("--web.listen-address") ?? "127.0.0.1:9093",
    "--data", `${flags.get("--storage.path") ?? "data"}/bellwire`,
    "--webhook-networks-allowed", "loopback",
    "--alertmanager-config", flags.get("--config.file") ?? "alertmanager.yml",
    "--notification-start-delay", flags.get("--dispatch.start-delay") ?? "0s",
  ],
  { stdio: ["ignore", "pipe", "inherit"] },
);
createInterface({ input: bellwire.stdout }).on("line", (line) => {
  const address = /^listening on https?:\/\/(.*)$/.exec(line)?.[1];
  if (address) console.error(`level=INFO msg="Listening on" address=${address}`);
});
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"]) {
  process.on(signal, () => bellwire.kill(signal));
}
bellwire.on("error", (error) => {
  console.error(`${error.message}: set BELLWIRE to the binary`);
  process.exit(1);
});
bellwire.on("exit", (code) => process.exit(code ?? 1));
