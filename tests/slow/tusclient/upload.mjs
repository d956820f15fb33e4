// Upload a file with the official client: node upload.mjs <endpoint> <token> <file> <chunk bytes>. Prints the address.
import { createReadStream, statSync } from "node:fs";
import { Upload } from "tus-js-client";

const [endpoint, token, path, chunk] = process.argv.slice(2);
const upload = new Upload(createReadStream(path), {
  endpoint,
  chunkSize: Number(chunk) || Infinity,
  uploadSize: statSync(path).size,
  retryDelays: Array(400).fill(200),
  headers: { Authorization: `Bearer ${token}` },
  metadata: { filename: "урок.mp4", filetype: "video/mp4" },
  onError(error) {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess() {
    console.log(upload.url);
    process.exit(0);
  },
});
upload.start();
