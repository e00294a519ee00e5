// The result panel as a page would drive it: jsdom for the page, ten lines for the model.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { beforeEach, test } from "node:test";

const { JSDOM } = createRequire(new URL("../../extension/package.json", import.meta.url))("jsdom");
const source = new URL("../../widgets/modelyard_widgets/result_panel.js", import.meta.url);

const HOSTILE = `<img src=x onerror="alert(1)"><script>alert(2)</script>`;
const PAYLOAD = {
  schema: 1,
  sentence: "Five folds of LogisticRegression: accuracy 0.95.",
  notes: ["the classes are imbalanced"],
  table: {
    columns: ["metric", "mean"],
    rows: [
      ["accuracy", "0.95"],
      ["roc_auc", "–"],
    ],
  },
};
const PICTURE = {
  svg: '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><text fill="currentColor">0.95</text></svg>',
  alt: "Accuracy of each fold",
};

class Model {
  listeners = [];
  constructor(state) { this.state = state; }
  get(name) { return this.state[name]; }
  set(changes) {
    Object.assign(this.state, changes);
    for (const [event, callback] of this.listeners) if (event.slice("change:".length) in changes) callback();
  }
  on(event, callback) { this.listeners.push([event, callback]); }
  off(event, callback) { this.listeners = this.listeners.filter(([e, c]) => e !== event || c !== callback); }
}

let el, render;

beforeEach(async () => {
  const { window } = new JSDOM("<!doctype html><body></body>");
  for (const name of ["document", "DOMParser", "XMLSerializer", "MutationObserver", "getComputedStyle"])
    globalThis[name] = window[name];
  el = document.body.appendChild(document.createElement("div"));
  ({ render } = (await import(source)).default);
});

const show = (state = {}) => {
  const model = new Model({ kind: "evaluation", payload: PAYLOAD, picture: null, ...state });
  return { model, cleanup: render({ model, el }) };
};

test("shows the sentence, the table and the notes in a region with a name", () => {
  const { cleanup } = show();
  const region = el.querySelector("[role=region]");
  assert.equal(region.getAttribute("aria-label"), "Evaluation");
  assert.equal(region.querySelector("p").textContent, PAYLOAD.sentence);
  assert.deepEqual([...region.querySelectorAll("th[scope=col]")].map((cell) => cell.textContent), ["metric", "mean"]);
  assert.deepEqual([...region.querySelectorAll("td")].map((cell) => cell.textContent), ["accuracy", "0.95", "roc_auc", "–"]);
  assert.equal(region.querySelector("caption").textContent, "Evaluation in figures");
  assert.deepEqual([...region.querySelectorAll("li")].map((note) => note.textContent), PAYLOAD.notes);
  cleanup();
});

test("aligns columns of figures, and only those", () => {
  const { cleanup } = show();
  const classes = [...el.querySelectorAll("tbody td")].map((cell) => cell.className);
  assert.deepEqual(classes, ["text", "number", "text", "number"].map((part) => `modelyard-result-${part}`));
  cleanup();
});

test("shows the picture as an image with its alternative text, in the page's colour", () => {
  document.body.style.color = "rgb(1, 2, 3)";
  const { cleanup } = show({ picture: PICTURE });
  const image = el.querySelector("img");
  assert.equal(image.alt, PICTURE.alt);
  assert.match(image.src, /^data:image\/svg\+xml;charset=utf-8,/);
  assert.match(decodeURIComponent(image.src), /<svg[^>]* color="rgb\(1, 2, 3\)"/);
  cleanup();
});

test("shows further pictures below, each with its title and alternative text", () => {
  const { model, cleanup } = show({ further: [{ ...PICTURE, title: "ROC curve", alt: "ROC curve of 1" }] });
  const figure = el.querySelector("figure");
  assert.equal(figure.querySelector("figcaption").textContent, "ROC curve");
  assert.equal(figure.querySelector("img").alt, "ROC curve of 1");
  model.set({ further: [] });
  assert.equal(el.querySelector("figure"), null);
  cleanup();
});

test("shows markup as the text that it is", () => {
  const payload = { schema: 1, sentence: HOSTILE, notes: [HOSTILE], table: { columns: [HOSTILE], rows: [[HOSTILE]] } };
  const { cleanup } = show({ kind: HOSTILE, payload, picture: { ...PICTURE, alt: HOSTILE } });
  assert.equal(el.querySelectorAll("script, [onerror]").length, 0);
  assert.equal(el.querySelectorAll("img").length, 1);
  for (const selector of ["p", "th", "td", "li"]) assert.equal(el.querySelector(selector).textContent, HOSTILE);
  assert.equal(el.querySelector("img").alt, HOSTILE);
  cleanup();
});

test("redraws when the payload or the picture changes", () => {
  const { model, cleanup } = show();
  model.set({ payload: { schema: 1, sentence: "Ten folds.", notes: [], table: null } });
  assert.equal(el.querySelector("p").textContent, "Ten folds.");
  assert.equal(el.querySelector("table"), null);
  assert.equal(el.querySelector("ul"), null);
  model.set({ picture: PICTURE });
  assert.equal(el.querySelectorAll("img").length, 1);
  cleanup();
});

test("takes the new colour when the theme changes", async () => {
  document.body.style.color = "rgb(0, 0, 0)";
  const { cleanup } = show({ picture: PICTURE });
  document.body.style.color = "rgb(255, 255, 255)";
  document.body.setAttribute("data-jp-theme-light", "false");
  await new Promise((resolve) => setTimeout(resolve));
  assert.match(decodeURIComponent(el.querySelector("img").src), /color="rgb\(255, 255, 255\)"/);
  cleanup();
});

test("cleans up after itself: nothing drawn, nobody listening", async () => {
  const { model, cleanup } = show({ picture: PICTURE });
  cleanup();
  assert.deepEqual(model.listeners, []);
  assert.equal(el.childElementCount, 0);
  model.set({ payload: { ...PAYLOAD, sentence: "late" } });
  document.body.setAttribute("data-jp-theme-light", "true");
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.equal(el.childElementCount, 0);
});
