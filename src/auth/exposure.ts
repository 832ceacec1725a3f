import type { Config } from "../config/options.ts";

/** What to warn of at the start, in one line: everybody may read everything, others can get here, and nobody said it may be so. */
export function exposureWarning(config: Config): string | undefined {
  const { host, auth, jwtSecret, jwtPublicKey, jwksUrl } = config;
  const isPublic = !/^(localhost|127(\.\d+){3}|::1)$/.test(host);
  if (!isPublic || auth !== "auto" || jwtSecret || jwtPublicKey || jwksUrl)
    return undefined;
  return `whoever can reach ${host} may join every room: set --jwt-secret, --jwt-public-key or --jwks-url, or say that it is meant with --auth anonymous`;
}
