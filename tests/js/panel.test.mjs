// The panel as a page would drive it: jsdom for the page, a few lines for the model.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { beforeEach, test } from "node:test";

const { JSDOM } = createRequire(new URL("../../extension/package.json", import.meta.url))("jsdom");
const source = new URL("../../widgets/modelyard_widgets/page/panel.js", import.meta.url);

const HOSTILE = `<img src=x onerror="alert(1)"><script>alert(2)</script>`;
const TABLE = {
  key: "table",
  type: "table",
  title: "Evaluation in figures",
  columns: ["metric", "mean"],
  rows: [
    ["accuracy", "0.95"],
    ["roc_auc", "–"],
  ],
};
const PICTURE = {
  key: "picture",
  type: "picture",
  svg: '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><text fill="currentColor">0.95</text></svg>',
  alt: "Accuracy of each fold",
  title: "",
};
const SENTENCE = { key: "sentence", type: "sentence", text: "Five folds of LogisticRegression: accuracy 0.95." };
const SLIDER = { key: "age", type: "range", label: "Age", value: 30, min: 18, max: 90, step: 1, unit: "years" };
const GO = { key: "go", type: "button", label: "Go" };

class Model {
  listeners = [];
  sent = [];
  constructor(state) { this.state = state; }
  get(name) { return this.state[name]; }
  set(name, value) {
    this.state[name] = value;
    this.trigger(`change:${name}`);
  }
  trigger(event, ...told) {
    for (const [name, callback] of [...this.listeners]) if (name === event) callback(...told);
  }
  send(content) {
    if (content.here) this.told = true;
    else this.sent.push(content);
  }
  on(event, callback) { this.listeners.push([event, callback]); }
  off(event, callback) { this.listeners = this.listeners.filter(([e, c]) => e !== event || c !== callback); }
}

let el, render;

beforeEach(async () => {
  const { window } = new JSDOM("<!doctype html><body></body>");
  const names = ["document", "DOMParser", "XMLSerializer", "MutationObserver", "getComputedStyle", "Element"];
  for (const name of [...names, "HTMLInputElement", "HTMLButtonElement"]) globalThis[name] = window[name];
  el = document.body.appendChild(document.createElement("div"));
  ({ render } = (await import(source)).default);
});

const show = (...blocks) => {
  const model = new Model({ title: "Evaluation", busy: "", blocks });
  return { model, cleanup: render({ model, el }) };
};
const controls = (...shown) => ({ key: "controls", type: "controls", controls: shown });
const event = (name, more = {}) => new document.defaultView.Event(name, { bubbles: true, ...more });
const key = (name) => new document.defaultView.KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true });
const slide = (value) => {
  const field = el.querySelector("input[type=range]");
  field.value = String(value);
  field.dispatchEvent(event("input"));
};

test("says that it is there, since what was shown before it came went past it", () => {
  const { model } = show(SENTENCE);
  assert.equal(model.told, true);
});

test("shows the sentence, the table and the notes in a region with a name", () => {
  const { cleanup } = show(SENTENCE, TABLE, { key: "notes", type: "notes", items: ["the classes are imbalanced"] });
  const region = el.querySelector("[role=region]");
  assert.equal(region.getAttribute("aria-label"), "Evaluation");
  assert.equal(region.querySelector(".modelyard-sentence").textContent, SENTENCE.text);
  assert.deepEqual([...region.querySelectorAll("th[scope=col]")].map((cell) => cell.textContent), ["metric", "mean"]);
  assert.deepEqual([...region.querySelectorAll("td")].map((cell) => cell.textContent), ["accuracy", "0.95", "roc_auc", "–"]);
  assert.equal(region.querySelector("caption").textContent, "Evaluation in figures");
  assert.deepEqual([...region.querySelectorAll("li")].map((note) => note.textContent), ["the classes are imbalanced"]);
  cleanup();
});

test("aligns columns of figures, and only those", () => {
  const { cleanup } = show(TABLE);
  const classes = [...el.querySelectorAll("tbody td")].map((cell) => cell.className);
  assert.deepEqual(classes, ["text-cell", "number", "text-cell", "number"].map((part) => `modelyard-${part}`));
  cleanup();
});

test("shows a picture as an image with its alternative text, in the page's colour, and anew in another theme", async () => {
  document.body.style.color = "rgb(1, 2, 3)";
  const { cleanup } = show({ ...PICTURE, title: "Accuracy" });
  const image = el.querySelector("img");
  assert.equal(image.alt, PICTURE.alt);
  assert.equal(el.querySelector("figcaption").textContent, "Accuracy");
  assert.match(decodeURIComponent(image.src), /^data:image\/svg\+xml;charset=utf-8,<svg[^>]* color="rgb\(1, 2, 3\)"/);
  document.body.style.color = "rgb(255, 255, 255)";
  document.body.setAttribute("data-jp-theme-light", "false");
  await new Promise((resolve) => setTimeout(resolve));
  assert.match(decodeURIComponent(image.src), /color="rgb\(255, 255, 255\)"/);
  cleanup();
});

test("markup is text in every place", () => {
  const { cleanup } = show(
    { ...SENTENCE, text: HOSTILE },
    { ...TABLE, title: HOSTILE, columns: [HOSTILE, HOSTILE], rows: [[HOSTILE, HOSTILE]], choose: "pick" },
    { key: "notes", type: "notes", items: [HOSTILE] },
    { key: "tabs", type: "tabs", title: HOSTILE, tabs: [{ key: HOSTILE, label: HOSTILE, blocks: [{ ...PICTURE, alt: HOSTILE, title: HOSTILE }] }] },
    { key: "figures", type: "figures", figures: [{ label: HOSTILE, value: HOSTILE, note: HOSTILE }] },
    { key: "code", type: "code", text: HOSTILE, label: HOSTILE },
    { key: "told", type: "told", text: HOSTILE, tone: "error" },
    controls(
      { ...SLIDER, label: HOSTILE, unit: HOSTILE, help: HOSTILE },
      { key: "s", type: "select", label: HOSTILE, value: HOSTILE, options: [{ value: HOSTILE, label: HOSTILE }] },
      { key: "r", type: "radio", label: HOSTILE, value: HOSTILE, options: [{ value: HOSTILE, label: HOSTILE }] },
      { key: "t", type: "text", label: HOSTILE, value: HOSTILE, suggestions: [HOSTILE] },
      { ...GO, label: HOSTILE },
    ),
  );
  assert.equal(el.querySelectorAll("script, [onerror]").length, 0);
  assert.equal(el.querySelectorAll("img").length, 1);
  for (const selector of [".modelyard-sentence", "th[scope=col]", "td:last-child", "li", "dt", "dd", "pre", "legend", "option"])
    assert.equal(el.querySelector(selector).textContent, HOSTILE, selector);
  cleanup();
});

test("draws again what changed, and leaves the rest where it is", () => {
  const { model, cleanup } = show(SENTENCE, { key: "group", type: "group", blocks: [TABLE] }, controls(SLIDER));
  const [table, slider] = [el.querySelector("table"), el.querySelector("input")];
  slider.focus();
  model.trigger("msg:custom", { patch: [{ ...SENTENCE, text: "Ten folds." }] });
  assert.equal(el.querySelector(".modelyard-sentence").textContent, "Ten folds.");
  model.set("blocks", [{ ...SENTENCE, text: "Two." }, { key: "group", type: "group", blocks: [TABLE, PICTURE] }, controls({ ...SLIDER, value: 50 }, GO)]);
  assert.equal(el.querySelectorAll("img").length, 1);
  assert.equal(el.querySelector("table"), table);
  assert.equal(document.activeElement, slider);
  assert.equal(slider.value, "30", "somebody is moving it");
  slider.blur();
  model.trigger("msg:custom", { patch: [controls({ ...SLIDER, value: 60 }, GO)] });
  assert.equal(slider.value, "60");
  assert.equal(el.querySelector("output").textContent, "60 years");
  const saved = model.get("blocks");
  assert.equal(saved[0].text, "Two.");
  assert.equal(saved[2].controls[0].value, 60, "what a notebook saves is what is seen");
  cleanup();
});

test("a stack that is filled later is filled where it is", () => {
  const stack = { key: "views:One", type: "stack", blocks: [] };
  const { model, cleanup } = show({ key: "tabs", type: "tabs", tabs: [{ key: "One", label: "One", blocks: [stack] }] });
  const node = el.querySelector(".modelyard-stack");
  model.trigger("msg:custom", { patch: [{ ...stack, blocks: [TABLE] }] });
  assert.equal(el.querySelector(".modelyard-stack"), node);
  assert.equal(node.querySelectorAll("table").length, 1);
  cleanup();
});

test("a change of what was not shown before, deep inside, is shown", () => {
  const { model, cleanup } = show({ key: "tabs", type: "tabs", tabs: [{ key: "One", label: "One", blocks: [{ key: "g", type: "group", blocks: [] }] }] });
  model.trigger("msg:custom", { patch: [{ key: "g", type: "group", blocks: [PICTURE] }] });
  assert.equal(el.querySelectorAll("img").length, 1);
  cleanup();
});

test("what slides is sent one message at a time, and of what waits the last value", () => {
  const { model, cleanup } = show(controls(SLIDER, GO));
  for (const value of [31, 32, 33]) slide(value);
  el.querySelector("button").click();
  slide(34);
  assert.deepEqual(model.sent, [{ do: "age", value: 31, turn: 1 }]);
  assert.equal(el.querySelector("output").textContent, "34 years");
  model.trigger("msg:custom", { done: 1 });
  model.trigger("msg:custom", { done: 7 });
  model.trigger("msg:custom", { done: 2 });
  assert.deepEqual(model.sent.slice(1), [{ do: "go", value: true, turn: 2 }, { do: "age", value: 34, turn: 3 }]);
  cleanup();
});

test("each field has a label, and says its value when it is done", () => {
  const { model, cleanup } = show(
    controls(
      { key: "n", type: "number", label: "Trials", value: 20, min: 1, help: "how many" },
      { key: "s", type: "select", label: "Method", value: "b", options: [{ value: "a", label: "A" }, { value: "b", label: "B" }] },
      { key: "c", type: "check", label: "Replace", value: false },
      { key: "r", type: "radio", label: "As", value: "x", options: [{ value: "x", label: "X" }, { value: "y", label: "Y" }] },
    ),
  );
  const [number, select, check] = ["input[type=number]", "select", "input[type=checkbox]"].map((each) => el.querySelector(each));
  assert.deepEqual([number, select, check].map((field) => field.labels[0].textContent), ["Trials", "Method", "Replace"]);
  assert.equal(el.querySelector(`#${number.getAttribute("aria-describedby")}`).textContent, "how many");
  assert.equal(select.value, "b");
  const answered = () => model.trigger("msg:custom", { done: model.sent.at(-1).turn });
  number.value = "5";
  number.dispatchEvent(event("change"));
  answered();
  number.value = "";
  number.dispatchEvent(event("change"));
  answered();
  check.click();
  answered();
  el.querySelectorAll("input[type=radio]")[1].click();
  assert.deepEqual(model.sent.map(({ do: what, value }) => [what, value]), [["n", 5], ["n", null], ["c", true], ["r", "y"]]);
  cleanup();
});

test("a row is chosen by its radio button", () => {
  const table = { ...TABLE, choose: "pick", chosen: 0 };
  const { model, cleanup } = show(table);
  const radios = el.querySelectorAll("input[type=radio]");
  assert.deepEqual([...radios].map((radio) => radio.getAttribute("aria-label")), ["Choose accuracy, 0.95", "Choose roc_auc, –"]);
  radios[1].click();
  assert.deepEqual(model.sent, [{ do: "pick", value: 1, turn: 1 }]);
  assert.equal(radios[0].dataset.lmSuppressShortcuts, "true", "JupyterLab leaves it the arrow keys");
  model.trigger("msg:custom", { patch: [{ ...table, chosen: 1 }] });
  assert.equal(el.querySelectorAll("input[type=radio]")[1], radios[1], "the focus stays");
  cleanup();
});

test("tabs are walked with the keyboard, and stay open when something in them changes", () => {
  const tab = (label, ...blocks) => ({ key: label, label, blocks });
  const tabs = { key: "views", type: "tabs", title: "Views", tabs: [tab("Folds", TABLE), tab("Curves", PICTURE)] };
  const { model, cleanup } = show(tabs);
  const seen = () => [...el.querySelectorAll("[role=tabpanel]")].map((panel) => !panel.hidden);
  const [first, second] = el.querySelectorAll("[role=tab]");
  assert.deepEqual(seen(), [true, false]);
  first.focus();
  first.dispatchEvent(key("ArrowRight"));
  assert.deepEqual(seen(), [false, true]);
  assert.equal(document.activeElement, second);
  assert.deepEqual([first.tabIndex, second.tabIndex, second.getAttribute("aria-selected")], [-1, 0, "true"]);
  assert.deepEqual(model.sent, [{ do: "views", value: "Curves", turn: 1 }]);
  model.set("blocks", [{ ...tabs, tabs: [tab("Folds", TABLE), tab("Curves", { ...PICTURE, alt: "Other" })] }]);
  assert.deepEqual(seen(), [false, true]);
  assert.equal(el.querySelector("img").alt, "Other");
  second.dispatchEvent(key("Home"));
  assert.deepEqual(seen(), [true, false]);
  cleanup();
});

test("a busy panel says so and lets only what may always be used be used", () => {
  const { model, cleanup } = show(controls(GO, { key: "stop", type: "button", label: "Stop", always: true }));
  model.set("busy", "Applying the plan");
  assert.equal(el.querySelector("[role=status]").textContent, "Applying the plan…");
  assert.equal(el.querySelector("[role=region]").getAttribute("aria-busy"), "true");
  for (const button of el.querySelectorAll("button")) button.click();
  assert.deepEqual(model.sent.map((each) => each.do), ["stop"]);
  model.set("busy", "");
  model.trigger("msg:custom", { done: 1 });
  el.querySelector("button").click();
  assert.deepEqual(model.sent.map((each) => each.do), ["stop", "go"]);
  cleanup();
});

test("a kernel that is gone is told of and nothing can be used, until it answers", () => {
  const { model, cleanup } = show(controls(GO));
  const said = () => el.querySelector("[role=status]").textContent;
  model.trigger("comm_live_update");
  assert.match(said(), /run the cell again/);
  assert.equal(el.querySelector(".modelyard-body").inert, true);
  assert.deepEqual(model.sent, [{ do: "", turn: 0 }], "only one that has this panel answers");
  model.trigger("msg:custom", { done: 0 });
  assert.equal(said(), "");
  assert.equal(el.querySelector(".modelyard-body").inert, false);
  cleanup();
});

test("a block of a newer version is told of in words", () => {
  const { cleanup } = show({ key: "x", type: "hologram" });
  assert.match(el.textContent, /cannot show a hologram/);
  cleanup();
});

test("cleans up after itself: nothing drawn, nobody listening", async () => {
  const { model, cleanup } = show(PICTURE, controls(SLIDER));
  slide(40);
  cleanup();
  assert.deepEqual(model.listeners, []);
  assert.equal(el.childElementCount, 0);
  model.set("blocks", [SENTENCE]);
  document.body.setAttribute("data-jp-theme-light", "true");
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.equal(el.childElementCount, 0);
});
