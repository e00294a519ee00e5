// The answer as people read it: the label, how sure the model is of each class, and what it was told with caution.
import { make } from "./form.js";

/** @typedef {import("./predict.js").Answer} Answer */

const FIRST = 3; // so many classes are seen at once, also where the page is narrow

/**
 * Show the answer to one row.
 * @param {Answer} answer
 * @param {HTMLElement} place
 */
export function showAnswer(answer, place) {
  const [prediction] = answer.predictions;
  const probabilities = Object.entries(answer.probabilities?.[0] ?? {}).sort((one, other) => other[1] - one[1]);
  const head = make("p", { className: "prediction" });
  head.append(make("strong", { textContent: inWords(prediction) }));
  const own = probabilities.find(([name]) => name === String(prediction));
  if (own) head.append(make("span", { className: "sure", textContent: percent(own[1]) }));
  /** @type {HTMLElement[]} */
  const parts = [head, bars(probabilities.slice(0, FIRST))];
  const rest = probabilities.slice(FIRST);
  if (rest.length) {
    const more = make("details", { open: place.querySelector("details")?.open ?? false });
    more.append(make("summary", { textContent: `${rest.length} more ${rest.length === 1 ? "class" : "classes"}` }), bars(rest));
    parts.push(more);
  }
  place.replaceChildren(...parts);
}

/**
 * @param {string} text
 * @param {HTMLElement} place
 */
export function showProblem(text, place) {
  place.replaceChildren(make("p", { className: "problem", textContent: text }));
}

/**
 * The sentence that a screen reader says.
 * @param {Answer} answer
 * @returns {string}
 */
export function sentence(answer) {
  const [prediction] = answer.predictions;
  const sure = answer.probabilities?.[0][String(prediction)];
  const flags = answer.flags.length ? `; ${answer.flags.length} of the values ${answer.flags.length === 1 ? "is" : "are"} new to the model` : "";
  return `${inWords(prediction)}${sure === undefined ? "" : `, ${percent(sure)}`}${flags}`;
}

/** @param {[string, number][]} probabilities */
function bars(probabilities) {
  const list = make("ul", { className: "bars" });
  for (const [name, value] of probabilities) {
    const item = make("li", {});
    const bar = make("span", { className: "bar" });
    bar.style.setProperty("--share", String(Math.max(0, Math.min(1, value))));
    item.append(
      make("span", { className: "class", textContent: name }), make("span", { className: "share", textContent: percent(value) }), bar,
    );
    list.append(item);
  }
  return list;
}

/** @param {number} share */
function percent(share) {
  const value = 100 * share;
  return `${value > 0 && value < 0.1 ? "< 0.1" : value > 99.9 && value < 100 ? "> 99.9" : Number(value.toFixed(1))} %`;
}

/** @param {unknown} prediction */
function inWords(prediction) {
  return typeof prediction === "number" && !Number.isInteger(prediction) ? String(Number(prediction.toPrecision(6))) : String(prediction);
}
