/* The folder for what npm installs and tests leave, and packages from there. */
import { createRequire } from "node:module";
import { join } from "node:path";

export const BUILD = process.env.BROWSER_BUILD || "build/browser";

export const fromBuild = createRequire(join(process.cwd(), BUILD, "/"));
