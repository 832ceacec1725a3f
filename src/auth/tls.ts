import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConfigError } from "../config/load.ts";
import type { Config } from "../config/options.ts";

/** A certificate, with those that vouch for it, and its key: PEM. */
export interface Tls {
  readonly cert: string;
  readonly key: string;
}

/**
 * Reads the files that the options name.
 * @returns undefined where there are none: connections are not encrypted
 * @throws ConfigError one is missing, cannot be read, or does not belong to the other
 */
export function readTls({ tlsCert, tlsKey }: Config): Tls | undefined {
  if (!tlsCert && !tlsKey) return undefined;
  if (!tlsCert || !tlsKey)
    throw new ConfigError(
      "--tls-cert, --tls-key: only one of them is given; allowed are both or none",
    );
  const cert = read("--tls-cert", tlsCert);
  const key = read("--tls-key", tlsKey);
  const certificate = parse(
    "--tls-cert",
    "a certificate",
    () => new X509Certificate(cert),
  );
  const privateKey = parse(
    "--tls-key",
    "a private key without a password",
    () => createPrivateKey(key),
  );
  if (!certificate.checkPrivateKey(privateKey))
    throw new ConfigError(
      `--tls-key: ${JSON.stringify(tlsKey)} does not belong to the certificate in ${JSON.stringify(tlsCert)}`,
    );
  return { cert, key };
}

function read(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(
      `${flag}: ${JSON.stringify(path)} cannot be read: ${(error as Error).message}; allowed is a PEM file`,
    );
  }
}

/** Without what the library says: it might hold a part of a key. */
function parse<T>(flag: string, what: string, read: () => T): T {
  try {
    return read();
  } catch {
    throw new ConfigError(`${flag}: the file holds no PEM of ${what}`);
  }
}
