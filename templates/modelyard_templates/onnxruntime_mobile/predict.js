// Rows in, one answer out: what POST /predict answers, made on this device.
import { check, tableOf } from "./contract.js";

/**
 * @typedef {import("./contract.js").Column} Column
 * @typedef {import("./contract.js").Table} Table
 *
 * @typedef {object} Input how columns feed the graph
 * @property {string} name
 * @property {"float64" | "float32" | "int64" | "string" | "bool"} dtype
 * @property {string[]} columns
 *
 * @typedef {object} Model what model.json says
 * @property {string} tag
 * @property {Input[]} inputs
 * @property {string} label_output
 * @property {string | null} probability_output
 * @property {(string | number | boolean)[] | null} classes
 * @property {string[] | null} class_names as an answer has them
 * @property {string} null_string what a missing text is fed as
 *
 * @typedef {object} Answer
 * @property {unknown[]} predictions
 * @property {Record<string, number>[] | null} probabilities
 * @property {import("./contract.js").Flag[]} flags
 *
 * @typedef {object} Golden rows whose answers are known
 * @property {Record<string, unknown>[]} rows
 * @property {unknown[]} predictions
 * @property {number[][] | null} probabilities
 */

/** A model that is loaded and ready to answer. */
export class Predictor {
  /**
   * @param {any} ort onnxruntime-web or onnxruntime-node
   * @param {any} session
   * @param {Column[]} columns
   * @param {Model} model
   */
  constructor(ort, session, columns, model) {
    this.ort = ort;
    this.session = session;
    this.columns = columns;
    this.model = model;
  }

  /**
   * @param {any} ort
   * @param {Uint8Array} content of model.ort
   * @param {Column[]} columns
   * @param {Model} model
   * @returns {Promise<Predictor>}
   */
  static async load(ort, content, columns, model) {
    const session = await ort.InferenceSession.create(content, { logSeverityLevel: 3 });
    return new Predictor(ort, session, columns, model);
  }

  /**
   * Answer rows.
   * @param {Record<string, unknown>[]} rows
   * @returns {Promise<Answer>}
   * @throws {import("./contract.js").ContractBroken}
   */
  async answer(rows) {
    const { table, flags } = check(this.columns, tableOf(rows), rows.length);
    const { label_output: label, probability_output: probability, classes, class_names: names } = this.model;
    const feeds = Object.fromEntries(this.model.inputs.map((input) => [input.name, this.tensor(input, table, rows.length)]));
    const found = await this.session.run(feeds, probability ? [label, probability] : [label]);
    const probabilities = probability && names ? byClass(found[probability].data, names) : null;
    return { predictions: plain(found[label].data, classes), probabilities, flags };
  }

  /**
   * @param {Input} input
   * @param {Table} table
   * @param {number} rows
   */
  tensor({ dtype, columns }, table, rows) {
    const values = Array.from({ length: rows }, (_, row) => columns.map((name) => table[name][row] ?? null)).flat();
    return new this.ort.Tensor(dtype, data(dtype, values, this.model.null_string), [rows, columns.length]);
  }
}

/**
 * @param {string} dtype
 * @param {any[]} values
 * @param {string} nullString
 */
function data(dtype, values, nullString) {
  if (dtype === "string") return values.map((value) => value ?? nullString);
  if (dtype === "int64") return BigInt64Array.from(values, (value) => BigInt(value));
  if (dtype === "bool") return Uint8Array.from(values, Number);
  const numbers = values.map((value) => (value === null ? NaN : Number(value)));
  return dtype === "float32" ? Float32Array.from(numbers) : Float64Array.from(numbers);
}

/**
 * Labels or values as JSON has them.
 * @param {ArrayLike<any>} labels
 * @param {Model["classes"]} classes
 * @returns {unknown[]}
 */
function plain(labels, classes) {
  const areTruths = Boolean(classes?.length) && classes?.every((label) => typeof label === "boolean");
  return Array.from(labels, (label) => (areTruths ? Boolean(Number(label)) : typeof label === "bigint" ? Number(label) : label));
}

/**
 * @param {ArrayLike<number>} flat
 * @param {string[]} names
 * @returns {Record<string, number>[]}
 */
function byClass(flat, names) {
  return Array.from({ length: flat.length / names.length }, (_, row) =>
    Object.fromEntries(names.map((name, place) => [name, flat[row * names.length + place]])),
  );
}

/**
 * Let a predictor answer the golden rows.
 * @param {Predictor} predictor
 * @param {Golden} golden
 * @returns {Promise<{ rows: number, matched: number, largest: number }>} how many are answered as they must be, and the
 *   largest difference of a probability or value
 */
export async function replayed(predictor, golden) {
  const answer = await predictor.answer(golden.rows);
  const names = predictor.model.class_names ?? [];
  let largest = 0;
  let matched = 0;
  golden.rows.forEach((_, row) => {
    const [found, wanted] = [answer.predictions[row], golden.predictions[row]];
    const isValue = predictor.model.classes === null && typeof wanted === "number";
    const pairs = isValue ? [[Number(found), wanted]] : [];
    golden.probabilities?.[row].forEach((value, place) => pairs.push([answer.probabilities?.[row][names[place]] ?? NaN, value]));
    const within = pairs.every(([one, other]) => Math.abs(one - other) <= 1e-5 + 1e-5 * Math.abs(other));
    if (within && (isValue || found === wanted)) matched += 1;
    largest = pairs.reduce((most, [one, other]) => Math.max(most, Math.abs(one - other)), largest);
  });
  return { rows: golden.rows.length, matched, largest };
}
