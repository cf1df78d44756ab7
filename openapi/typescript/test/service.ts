import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

/** A service of its own, as it is built: real HTTP, real rules, a store that forgets. */
export interface Service {
  url: string;
  /** Where the operators' console is, if it has one. */
  console: string;
  stop(): void;
}

/** Starts the binary. */
export async function startService(environment: Record<string, string> = {}, flags: string[] = []): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), "mobile-bind-"));
  const child = spawn(binary, ["--listen", "127.0.0.1:0", "--store", "memory:", "--data-dir", folder, ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, MOBILE_BIND__LIMITS__MODE: "off", MOBILE_BIND__LOG__LEVEL: "warn", ...environment },
  });
  const { url, console } = await listening(child);
  const stop = () => {
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  return { url, console, stop };
}

/** The binary that `MOBILE_BIND_BINARY` names, or the one that cargo builds for tests. */
export const binary =
  process.env["MOBILE_BIND_BINARY"] ?? resolve(import.meta.dirname, "../../../target/debug/mobile-bind");

function listening(child: ChildProcess): Promise<{ url: string; console: string }> {
  return new Promise((resolve, reject) => {
    const found = { url: "", console: "" };
    child.on("error", () => reject(new Error(`there is no ${binary}: run cargo build`)));
    child.on("exit", () => reject(new Error(`${binary} ended before it listened`)));
    if (child.stdout) {
      createInterface(child.stdout).on("line", (line) => {
        found.url ||= line.match(/^listening on (.*)$/)?.[1] ?? "";
        found.console ||= line.match(/^console: (.*)$/)?.[1] ?? "";
        // The last of what it says at its start.
        if (line.startsWith("environment: ")) {
          resolve(found);
        }
      });
    }
  });
}

/** The last code that went to a number. */
export async function lastCode(service: Service, mobile: string): Promise<string> {
  const messages = await (await fetch(`${service.url}/dev/sms?mobile=${mobile}`)).json();
  return messages[0].code;
}

/** Moves the service's clock on. */
export async function advance(service: Service, seconds: number): Promise<void> {
  await fetch(`${service.url}/dev/clock`, { method: "POST", body: JSON.stringify({ advance_s: seconds }) });
}
