/** `bun run token`: makes a token. `--help` says all. */
import {
  HELP,
  makeToken,
  parseTokenOptions,
  type TokenRequest,
} from "./auth/token-tool.ts";

let request: TokenRequest | undefined;
try {
  request = parseTokenOptions(process.argv.slice(2), process.env);
} catch (error) {
  console.error(
    `token: ${(error as Error).message} (--help lists the options)`,
  );
  process.exit(2);
}
console.log(request ? await makeToken(request, Date.now()) : HELP.trimEnd());
