// Unpacks the package's Chromium, the fonts and the libraries that it needs into the folder that TMPDIR names.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inflate } from "@sparticuz/chromium";

const packed = join(dirname(fileURLToPath(import.meta.resolve("@sparticuz/chromium"))), "..", "bin");
await Promise.all(["chromium.br", "fonts.tar.br", "al2023.tar.br"].map((file) => inflate(join(packed, file))));
