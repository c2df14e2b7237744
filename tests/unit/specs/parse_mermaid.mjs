// Reads one diagram from standard input and prints its type, or Mermaid's own complaint on standard error.
// Usage: node parse_mermaid.mjs <path of mermaid.esm.min.mjs>
//
// Mermaid's sanitizer asks for a browser when it is loaded. Without one it passes labels through unchanged, which is
// all that parsing needs, so this much of a browser is enough and no DOM package has to be installed.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

globalThis.window = { document: { nodeType: 9, createElement: () => ({}) }, Element: class {} };

const { default: mermaid } = await import(pathToFileURL(process.argv[2]).href);
try {
    const { diagramType } = await mermaid.parse(readFileSync(0, "utf8"));
    console.log(diagramType);
} catch (error) {
    console.error(error.message);
    process.exitCode = 1;
}
