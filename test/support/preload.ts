import { setDefaultTimeout } from "bun:test";

// No test waits for time to pass, but some start servers dozens of times: this only ends what hangs.
setDefaultTimeout(120_000);
