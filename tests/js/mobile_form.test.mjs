// The parts of the mobile page that think without a page: what is typed, what is drawn, what is photographed.
import assert from "node:assert/strict";
import { test } from "node:test";

const here = new URL("../../templates/modelyard_templates/onnxruntime_mobile/", import.meta.url);
const { numberOf } = await import(new URL("form.js", here));
const { fitted, inkOf, pictureOf } = await import(new URL("picture.js", here));
const { repr } = await import(new URL("python_text.js", here));

const pixel = (name, changes = {}) => ({ name, type: "number", minimum: 0, maximum: 16, ...changes });
const named = (size, name) => Array.from({ length: size * size }, (_, place) => pixel(name(Math.floor(place / size), place % size, place)));

test("a number is read with a point or a comma, and what is none stays a text", () => {
  assert.deepEqual(["1.5", "1,5", "-2", "+3", ".5", "1e3"].map(numberOf), [1.5, 1.5, -2, 3, 0.5, 1000]);
  assert.deepEqual(["1,5,2", "0x10", "wide", "1 000", "NaN"].map(numberOf), ["1,5,2", "0x10", "wide", "1 000", "NaN"]);
  assert.equal(numberOf(""), null);
  assert.equal(numberOf("9007199254740993"), 9007199254740993n);
});

test("texts and numbers are written as Python writes them", () => {
  assert.deepEqual(["it's", `"'`, "a\nb", "\u200b", "é"].map(repr), [`"it's"`, `'"\\''`, "'a\\nb'", "'\\u200b'", "'é'"]);
  assert.deepEqual([5, 5.5, 1e-5, 1e-4, 1e21, 1e20, -0].map(repr), ["5", "5.5", "1e-05", "0.0001", "1e+21", "100000000000000000000", "0"]);
});

test("columns are a picture where they are the pixels of a square, and nothing else", () => {
  const found = pictureOf(named(8, (row, column) => `pixel_${row}_${column}`));
  assert.deepEqual([found.size, found.low, found.high, found.names[9]], [8, 0, 16, "pixel_1_1"]);
  assert.equal(pictureOf(named(5, (row, column, place) => `pixel${place + 1}`)).names[24], "pixel25");
  const shuffled = named(4, (row, column) => `p${column}x${row}`).reverse();
  assert.equal(pictureOf(shuffled).names[1], "p0x1");
  assert.equal(pictureOf(named(4, (row, column, place) => `s${place}`)), null);
  assert.equal(pictureOf(named(8, (row, column) => `pixel_${row}_${column}`).slice(1)), null);
  assert.equal(pictureOf([...named(4, (row, column) => `x_${row}_${column}`).slice(1), pixel("x_9_9")]), null);
  assert.equal(pictureOf(named(4, (row, column) => `x_${row}_${column}`).map((each) => ({ ...each, type: "string" }))), null);
});

test("ink is cropped, centred and fills the square", () => {
  const ink = new Float32Array(100 * 100);
  for (let y = 10; y < 50; y += 1) for (let x = 70; x < 80; x += 1) ink[y * 100 + x] = 1;
  const small = fitted(ink, 100, 4);
  assert.deepEqual(small, [0, 0.5, 0.5, 0, 0, 0.5, 0.5, 0, 0, 0.5, 0.5, 0, 0, 0.5, 0.5, 0]);
  assert.deepEqual(fitted(new Float32Array(16), 4, 2), [0, 0, 0, 0]);
});

test("ink of a photograph is dark on bright paper, or bright on a dark ground", () => {
  const grey = (values) => Uint8ClampedArray.from(values.flatMap((value) => [value, value, value, 255]));
  const paper = [...new Array(90).fill(200), ...new Array(10).fill(40)];
  assert.deepEqual([...inkOf(grey(paper))].slice(88, 92), [0, 0, 1, 1]);
  assert.deepEqual([...inkOf(grey(paper.map((value) => 255 - value)))].slice(88, 92), [0, 0, 1, 1]);
});
