// Answers rows in Node: `node predict.mjs rows.json`, a list of rows by column; without a file, the golden rows are
// replayed. It runs on onnxruntime-node where `npm ci` or `npm install` brought it, else on the files of the page.
import { readFile } from "node:fs/promises";
import { ContractBroken } from "../web/contract.js";
import { Predictor, replayed } from "../web/predict.js";

const web = new URL("../web/", import.meta.url);
const json = async (/** @type {string | URL} */ path) => JSON.parse(await readFile(path, "utf-8"));

/** @returns {Promise<any>} */
async function runtime() {
  try {
    return { name: "onnxruntime-node", ort: (await import("onnxruntime-node")).default };
  } catch (error) {
    if (/** @type {any} */ (error).code !== "ERR_MODULE_NOT_FOUND") throw error;
  }
  const ort = await import(new URL("ort/ort.wasm.bundle.min.mjs", web).href);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await readFile(new URL("ort/ort-wasm-simd-threaded.wasm", web));
  return { name: "onnxruntime-web", ort };
}

const { name, ort } = await runtime();
const [{ columns }, model, content] = await Promise.all([
  json(new URL("contract.json", web)), json(new URL("model.json", web)), readFile(new URL("model.ort", web)),
]);
const predictor = await Predictor.load(ort, content, columns, model);
const [file] = process.argv.slice(2);
try {
  const said = file ? await predictor.answer(await json(file)) : { runtime: name, ...(await replayed(predictor, await json(new URL("golden.json", web)))) };
  console.log(JSON.stringify(said));
} catch (error) {
  if (!(error instanceof ContractBroken)) throw error;
  console.log(JSON.stringify({ error: error.message, violations: error.violations }));
  process.exitCode = 1;
}
