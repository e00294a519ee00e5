// How Python writes numbers and texts: the contract's messages are the same everywhere, to the letter.

const LARGEST_WHOLE = 1e21; // from here on JSON.stringify writes a whole number with an exponent, which Python reads as a float

/**
 * Python's `repr` of a number or a text.
 * A whole number is an `int`, as it is in JSON that JavaScript wrote.
 * @param {unknown} value
 * @returns {string}
 */
export function repr(value) {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value === "boolean") return value ? "True" : "False";
  if (value === null || value === undefined) return "None";
  return float(Number(value));
}

/** @param {number} value */
function float(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (Number.isInteger(value) && Math.abs(value) < LARGEST_WHOLE) return String(value);
  const [digits, exponent] = value.toExponential().split("e");
  return -5 < Number(exponent) && Number(exponent) < 16 ? String(value) : `${digits}e${padded(Number(exponent))}`;
}

/** @param {number} exponent */
function padded(exponent) {
  return `${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** @param {string} text */
function quoted(text) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = [...text].map((letter) => (letter === quote || letter === "\\" ? `\\${letter}` : shown(letter)));
  return quote + inner.join("") + quote;
}

/** @param {string} letter */
function shown(letter) {
  const named = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[letter];
  if (named !== undefined) return named;
  if (letter === " " || !/[\p{C}\p{Z}]/u.test(letter)) return letter;
  const code = letter.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return code < 0x100 ? `\\x${hex.padStart(2, "0")}` : code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
