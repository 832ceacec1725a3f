import type { Config } from "../config/options.ts";

/** What to warn of at the start, a line each: who may come in that nobody may have thought of. */
export function exposureWarnings(config: Config): string[] {
  const { host, auth, jwtSecret, jwtPublicKey, jwksUrl, jwtAudience } = config;
  const warnings: string[] = [];
  const key = jwtSecret || jwtPublicKey || jwksUrl;
  if (!isLocal(host) && auth === "auto" && !key)
    warnings.push(
      `whoever can reach ${host} may join every room: set --jwt-secret, --jwt-public-key or --jwks-url, or say that it is meant with --auth anonymous`,
    );
  if (!jwksUrl) return warnings;
  if (!jwtAudience)
    warnings.push(
      "whoever has any token of the issuer, made for whatever application, comes in: set --jwt-audience",
    );
  const { protocol, hostname } = new URL(jwksUrl);
  if (protocol === "http:" && !isLocal(hostname.replace(/^\[|\]$/g, "")))
    warnings.push(
      `whoever is on the way to ${hostname} can put in keys: let --jwks-url begin with https://`,
    );
  return warnings;
}

const isLocal = (host: string): boolean =>
  /^(localhost|127(\.\d+){3}|::1)$/.test(host);
