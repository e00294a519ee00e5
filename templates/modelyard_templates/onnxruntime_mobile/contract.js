// The contract: what a row must look like. The same checks, words and flags as modelyard_runtime/contract.py.
import { repr } from "./python_text.js";

/**
 * @typedef {object} End of the range of a column
 * @property {string} text its number, as messages have it
 * @property {number} clipped what becomes of a number past it
 * @property {string} clipped_text
 *
 * @typedef {object} Column what was learned of one column, as contract.json has it
 * @property {string} name
 * @property {"number" | "integer" | "boolean" | "string"} type
 * @property {boolean} nullable
 * @property {"reject" | "clip" | "flag"} policy
 * @property {number} [minimum]
 * @property {number} [maximum]
 * @property {End} [low] beside the minimum
 * @property {End} [high] beside the maximum
 * @property {unknown[]} [categories]
 * @property {string} learned all of that in words
 *
 * @typedef {object} Violation one value that breaks the contract
 * @property {number} row
 * @property {string} column
 * @property {unknown} value
 * @property {string} problem
 * @property {string} learned
 *
 * @typedef {object} Flag one value that was let through, or clipped, although training never saw its like
 * @property {number} row
 * @property {string} column
 * @property {unknown} value
 * @property {string} flag
 *
 * @typedef {Record<string, unknown[]>} Table values by column
 */

/** @type {Record<string, string>} */
const BELONGS = { number: "a number", integer: "a whole number", boolean: "true or false", string: "a text" };
const EXACT = 2 ** 53; // past this a whole number and its double differ
const LARGEST = BigInt(Number.MAX_VALUE);
const SHOWN = 20;
const COUNTED = 10_000;

/** Rows of no shape that is known. */
export class RequestError extends Error {}

/** Rows that break the contract; `violations` holds the first twenty of `total`. */
export class ContractBroken extends Error {
  /**
   * @param {Violation[]} violations
   * @param {number} total
   */
  constructor(violations, total) {
    const least = total >= COUNTED ? "at least " : "";
    super(told(violations[0]) + (total > 1 ? ` (and ${least}${total - 1} more)` : ""));
    this.violations = violations;
    this.total = total;
  }
}

/**
 * @param {Violation} violation
 * @returns {string}
 */
export function told({ row, column, problem, learned }) {
  return `row ${row}, column ${repr(column)}: ${problem}; learned: ${learned}`;
}

/**
 * Rows as values by column.
 * @param {Record<string, unknown>[]} rows
 * @returns {Table}
 */
export function tableOf(rows) {
  if (!rows.length) throw new RequestError("no rows; send at least one");
  const names = Object.keys(rows[0]);
  rows.forEach((row, number) => {
    const odd = [...names.filter((name) => !Object.hasOwn(row, name)), ...Object.keys(row).filter((name) => !names.includes(name))];
    if (!odd.length) return;
    const first = odd.sort(byCodePoints).slice(0, 8).map(repr).join(", ");
    throw new RequestError(`row ${number} differs from row 0 in the columns ${first}`);
  });
  return Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name])]));
}

/**
 * Check `rows` rows; return them as the model may see them, and the flags.
 * @param {Column[]} columns
 * @param {Table} table
 * @param {number} rows
 * @returns {{ table: Table, flags: Flag[] }}
 * @throws {ContractBroken} a column is missing or unknown, or a value breaks what was learned
 */
export function check(columns, table, rows) {
  refuseStrangers(columns, table);
  /** @type {Violation[]} */
  const wrong = [];
  /** @type {Flag[]} */
  const flags = [];
  /** @type {Table} */
  const checked = Object.create(null);
  for (const column of columns) {
    /** @type {Violation[]} */
    const found = [];
    checked[column.name] = checkColumn(column, table[column.name].slice(0, rows), found, flags);
    wrong.push(...found);
    if (wrong.length >= COUNTED) break;
  }
  if (wrong.length) {
    wrong.sort((one, other) => one.row - other.row);
    throw new ContractBroken(wrong.slice(0, SHOWN), wrong.length);
  }
  return { table: checked, flags };
}

/**
 * @param {Column[]} columns
 * @param {Table} table
 */
function refuseStrangers(columns, table) {
  const known = new Set(columns.map((column) => column.name));
  const unknown = Object.keys(table).filter((name) => !known.has(name));
  const missing = columns.filter((column) => !Object.hasOwn(table, column.name));
  if (!unknown.length && !missing.length) return;
  const first = columns.slice(0, 8).map((column) => column.name).join(", ");
  const expected = `the columns ${first}${columns.length > 8 ? ", …" : ""}`;
  const violation = (/** @type {string} */ column, /** @type {string} */ problem, /** @type {string} */ learned) => ({
    row: 0, column, value: null, problem, learned,
  });
  const wrong = [
    ...unknown.slice(0, SHOWN).map((name) => violation(String(brief(name)), "a column the model never saw", expected)),
    ...missing.slice(0, SHOWN).map((column) => violation(column.name, "the column is missing", column.learned)),
  ];
  throw new ContractBroken(wrong.slice(0, SHOWN), unknown.length + missing.length);
}

/**
 * @param {Column} column
 * @param {unknown[]} values
 * @param {Violation[]} violations
 * @param {Flag[]} flags
 * @returns {unknown[]}
 */
function checkColumn(column, values, violations, flags) {
  for (const [row, value] of values.entries()) {
    const problem = problemOf(column, value);
    if (!problem) continue;
    violations.push({ row, column: column.name, value: brief(value ?? null), problem, learned: column.learned });
    if (violations.length >= COUNTED) break; // a flood of them must not fill the memory
  }
  if (violations.length) return values;
  const isNumber = column.type === "number" || column.type === "integer";
  if (isNumber && isGiven(column.minimum) && isGiven(column.maximum)) return withinRange(column, values, violations, flags);
  if (isGiven(column.categories)) withinCategories(column, values, violations, flags);
  return values;
}

/**
 * @param {Column} column
 * @param {unknown} value
 * @returns {string | null}
 */
function problemOf(column, value) {
  if (value === null || value === undefined)
    return column.nullable ? null : "null, but training never saw one and nothing imputes it";
  const wanted = BELONGS[column.type];
  const elsewhere = `${toldOf(value)} where ${wanted} belongs`;
  if (column.type === "string") return typeof value === "string" ? null : elsewhere;
  if (column.type === "boolean") return typeof value === "boolean" ? null : elsewhere;
  if (typeof value === "number" && !Number.isFinite(value)) return `${repr(value)} where ${wanted} belongs`;
  if (column.type === "integer") {
    if (typeof value !== "bigint" && !Number.isInteger(value)) return elsewhere;
    const size = typeof value === "bigint" ? (value < 0n ? -value : value) : Math.abs(Number(value));
    return size > EXACT ? `${repr(value)} is past 2^53 and would be rounded` : null;
  }
  if (typeof value === "bigint") {
    const size = value < 0n ? -value : value;
    return size > LARGEST ? `a whole number of ${String(size).length} digits where ${wanted} belongs` : null;
  }
  return typeof value === "number" ? null : elsewhere;
}

/**
 * @param {Column} column
 * @param {unknown[]} values
 * @param {Violation[]} violations
 * @param {Flag[]} flags
 * @returns {unknown[]}
 */
function withinRange(column, values, violations, flags) {
  const { minimum, maximum, low, high } = /** @type {Required<Column>} */ (column);
  return values.map((value, row) => {
    if (value === null || value === undefined) return value;
    const found = /** @type {number} */ (value);
    if (minimum <= found && found <= maximum) return value;
    if (column.policy === "reject") {
      violations.push({ row, column: column.name, value, problem: "out of the learned range", learned: column.learned });
      return value;
    }
    const end = found < minimum ? low : high;
    const clips = column.policy === "clip";
    flags.push({ row, column: column.name, value, flag: clips ? `clipped to ${end.clipped_text}` : `outside ${low.text} to ${high.text}` });
    return clips ? end.clipped : value;
  });
}

/**
 * @param {Column} column
 * @param {unknown[]} values
 * @param {Violation[]} violations
 * @param {Flag[]} flags
 */
function withinCategories(column, values, violations, flags) {
  const known = new Set(column.categories);
  for (const [row, value] of values.entries()) {
    if (value === null || value === undefined || known.has(value)) continue;
    const found = { row, column: column.name, value: brief(value) };
    if (column.policy === "reject") violations.push({ ...found, problem: "an unknown category", learned: column.learned });
    else flags.push({ ...found, flag: "unknown category" });
  }
}

/**
 * @template T
 * @param {T | null | undefined} value
 * @returns {value is T}
 */
function isGiven(value) {
  return value !== null && value !== undefined;
}

/** @param {unknown} value */
function brief(value) {
  if (typeof value !== "string") return value;
  const letters = [...value];
  return letters.length > 80 ? `${letters.slice(0, 80).join("")}…` : value;
}

/**
 * @param {unknown} value
 * @returns {string}
 */
function toldOf(value) {
  if (typeof value === "string") return `text ${repr(brief(value))}`;
  if (typeof value === "boolean") return value ? "true" : "false";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" && value !== null ? "an object" : repr(value);
}

/**
 * @param {string} one
 * @param {string} other
 */
function byCodePoints(one, other) {
  const [left, right] = [[...one], [...other]];
  const place = left.findIndex((letter, position) => letter !== right[position]);
  if (place < 0) return left.length - right.length;
  return place >= right.length ? 1 : (left[place].codePointAt(0) ?? 0) - (right[place].codePointAt(0) ?? 0);
}
