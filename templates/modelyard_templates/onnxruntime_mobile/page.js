// The page: it unpacks what lies in it, makes the form, and answers while you change it. Nothing leaves the device.
import { ContractBroken } from "./contract.js";
import { Form, make } from "./form.js";
import { PicturePad, pictureOf } from "./picture.js";
import { Predictor, replayed } from "./predict.js";
import { sentence, showAnswer, showProblem } from "./shown.js";

/**
 * @param {string} id
 * @returns {any}
 */
const find = (id) => document.getElementById(id);
const text = (/** @type {string} */ id) => find(id).textContent;
const json = (/** @type {string} */ id) => JSON.parse(text(id));

/**
 * @param {string} id of a part of the page that holds base64
 * @returns {Promise<Response>}
 */
const part = (id) => fetch(`data:application/octet-stream;base64,${text(id)}`);

/** @returns {Promise<any>} ONNX Runtime, from the page itself */
async function runtime() {
  const packed = /** @type {ReadableStream} */ ((await part("wasm")).body);
  const wasm = new Response(packed.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  const module = URL.createObjectURL(new Blob([await (await part("ort")).text()], { type: "text/javascript" }));
  const ort = await import(module);
  URL.revokeObjectURL(module);
  ort.env.wasm.numThreads = 1; // threads want headers that a file does not have
  ort.env.wasm.wasmBinary = await wasm;
  return ort;
}

/** @param {import("./contract.js").Column[]} columns */
function start(columns) {
  const golden = json("golden");
  const form = new Form(columns, find("fields"));
  const [answer, status, live] = [find("answer"), find("status"), find("live")];
  /** @type {Predictor | null} */
  let predictor = null;
  let example = 0;
  let asked = 0;
  /** @type {PicturePad | null} */
  let pad = null;

  const predict = async (/** @type {boolean} */ isSubmitted) => {
    if (!predictor) return;
    const mine = (asked += 1);
    try {
      const found = await predictor.answer([form.row]);
      if (mine !== asked) return;
      form.show(found.flags.map(({ column, flag }) => ({ column, text: flag })), false);
      showAnswer(found, answer);
      live.textContent = sentence(found);
    } catch (error) {
      if (mine !== asked) return;
      const isBroken = error instanceof ContractBroken;
      if (isBroken) form.show(error.violations.map(({ column, problem, learned }) => ({ column, text: `${problem}; learned: ${learned}` })), true);
      const total = isBroken ? error.total : 0;
      const said = isBroken ? `No answer: ${total} ${total === 1 ? "value breaks" : "values break"} the contract.` : `No answer: ${error}`;
      showProblem(said, answer);
      live.textContent = said;
      if (isSubmitted) form.focusError();
    }
  };
  const showExample = () => {
    form.row = golden.rows[example];
    pad?.example(golden.rows[example]);
    find("example").textContent = `Example ${example + 1} of ${golden.rows.length}`;
    example = (example + 1) % golden.rows.length;
    void predict(false);
  };

  find("form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    void predict(true);
  });
  // what a change shows moves the button that is being pressed: it waits for the finger to leave
  let isPressed = false;
  let isWaiting = false;
  addEventListener("pointerdown", (event) => (isPressed = event.target instanceof Element && event.target.closest("button, summary") !== null), true);
  for (const name of ["pointerup", "pointercancel"])
    addEventListener(name, () => {
      isPressed = false;
      if (isWaiting) setTimeout(() => void predict(false));
      isWaiting = false;
    });
  find("form").addEventListener("change", () => {
    isWaiting = isPressed;
    if (!isPressed) void predict(false);
  });
  find("example").addEventListener("click", showExample);
  find("check").addEventListener("click", async () => {
    if (!predictor) return;
    const { rows, matched, largest } = await replayed(predictor, golden);
    status.textContent = `${matched} of ${rows} golden rows answered as in the notebook; largest difference ${largest.toExponential(1)}`;
  });
  const picture = pictureOf(columns);
  if (picture) {
    pad = new PicturePad(picture, find("picture"), (row) => {
      form.row = row;
      void predict(false);
    });
    find("picture").hidden = false;
    find("values").open = false;
  }
  showExample();

  const loaded = async () => {
    const started = performance.now();
    const ort = await runtime();
    const content = new Uint8Array(await (await part("model")).arrayBuffer());
    predictor = await Predictor.load(ort, content, columns, json("model-facts"));
    status.textContent = `ready after ${Math.round(performance.now() - started)} ms; ONNX Runtime Web ${ort.env.versions.web}, on this device`;
    find("predict").disabled = find("check").disabled = false;
    document.documentElement.dataset.state = "ready";
    await predict(false);
  };
  loaded().catch((error) => {
    document.documentElement.dataset.state = "failed";
    showProblem(`The model cannot be started here: ${error}`, answer);
    live.textContent = `The model cannot be started here: ${error}`;
  });
  return { form, ask: (/** @type {Record<string, unknown>[]} */ rows) => predictor?.answer(rows), check: () => predictor && replayed(predictor, golden) };
}

find("about").append(...json("model-facts").facts.map((/** @type {[string, string]} */ [name, value]) => {
  const item = make("div", {});
  item.append(make("dt", { textContent: name }), make("dd", { textContent: value }));
  return item;
}));
/** @type {any} */ (window).modelyard = start(json("contract").columns);
