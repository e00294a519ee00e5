// A form made from the contract: a field for each column, its errors and remarks beside it.
/** @typedef {import("./contract.js").Column} Column */

const MOST_OPTIONS = 200; // past this a list is searched by typing
const MOST_SLIDERS = 40;
const STEPS = 200;
const OTHER = "other";
const MISSING = "missing";

/** One column's field. */
class Field {
  /**
   * @param {Column} column
   * @param {number} place
   * @param {boolean} hasSlider
   */
  constructor(column, place, hasSlider) {
    this.column = column;
    const id = `field-${place}`;
    this.element = make("div", { className: "field" });
    const label = make("label", { htmlFor: id, textContent: column.name });
    const hint = make("span", { className: "hint", id: `${id}-hint`, textContent: hintOf(column) });
    this.said = make("p", { className: "said", id: `${id}-said`, hidden: true });
    const words = make("div", { className: "words" });
    words.append(label, hint);
    this.control = controlOf(column);
    this.control.id = id;
    this.control.setAttribute("aria-describedby", `${hint.id} ${this.said.id}`);
    this.element.append(words, this.control);
    /** @type {HTMLInputElement | null} */
    this.other = null;
    /** @type {HTMLInputElement | null} */
    this.slider = null;
    if (this.control instanceof HTMLSelectElement) this.addOther(id);
    else if (hasSlider) this.addSlider();
    this.element.append(this.said);
  }

  /** @param {string} id */
  addOther(id) {
    const { column, control } = this;
    if (column.type !== "string" || column.policy === "reject") return;
    control.append(make("option", { value: OTHER, textContent: "another text …" }));
    const other = make("input", { type: "text", className: "other", hidden: true, autocomplete: "off" });
    other.setAttribute("aria-label", `another text for ${column.name}`);
    other.setAttribute("aria-describedby", `${id}-said`);
    control.addEventListener("change", () => {
      other.hidden = control.value !== OTHER;
      if (!other.hidden) other.focus();
    });
    this.element.append(other);
    this.other = other;
  }

  addSlider() {
    const { column, control } = this;
    const [low, high] = [Number(column.minimum), Number(column.maximum)];
    const step = column.type === "integer" ? 1 : (high - low) / STEPS;
    const moved = () => control.dispatchEvent(new Event("change", { bubbles: true }));
    const slider = make("input", { type: "range", min: String(low), max: String(high), step: String(step), tabIndex: -1 });
    slider.setAttribute("aria-hidden", "true"); // the field beside it says and takes the same
    slider.addEventListener("input", () => {
      const value = Number(slider.value);
      const isEnd = value <= low + step / 2 || value >= high - step / 2;
      slider.classList.remove("idle");
      /** @type {HTMLInputElement} */ (control).value = String(isEnd ? (value < (low + high) / 2 ? low : high) : Number(value.toPrecision(4)));
    });
    slider.addEventListener("change", moved);
    control.addEventListener("input", () => this.moveSlider());
    this.element.append(slider);
    this.slider = slider;
  }

  moveSlider() {
    const { slider, value } = this;
    const isNumber = typeof value === "number" || typeof value === "bigint";
    if (slider && isNumber) slider.value = String(value);
    slider?.classList.toggle("idle", !isNumber);
  }

  /** @returns {unknown} what the row has in this column */
  get value() {
    const { column, control } = this;
    if (control instanceof HTMLSelectElement) {
      if (control.value === MISSING) return null;
      if (control.value === OTHER) return this.other?.value ?? "";
      return optionsOf(column)[Number(control.value)];
    }
    if (column.type === "string") return control.value === "" && column.nullable ? null : control.value;
    return numberOf(control.value.trim());
  }

  /** @param {unknown} value */
  set value(value) {
    const { column, control } = this;
    if (control instanceof HTMLSelectElement) {
      const place = optionsOf(column).indexOf(value);
      control.value = value === null ? MISSING : place < 0 ? OTHER : String(place);
      if (this.other) {
        this.other.hidden = control.value !== OTHER;
        this.other.value = place < 0 && value !== null ? String(value) : "";
      }
    } else {
      control.value = value === null ? "" : String(value);
      this.moveSlider();
    }
    this.say("", false);
  }

  /**
   * Say something beside the field; nothing takes it back.
   * @param {string} text
   * @param {boolean} isError
   */
  say(text, isError) {
    this.said.textContent = text;
    this.said.hidden = !text;
    const isWrong = isError && Boolean(text);
    this.said.classList.toggle("error", isWrong);
    for (const each of [this.control, this.other]) {
      if (isWrong) each?.setAttribute("aria-invalid", "true");
      else each?.removeAttribute("aria-invalid");
    }
  }
}

/** The fields of all columns. */
export class Form {
  /**
   * @param {Column[]} columns
   * @param {HTMLElement} place
   */
  constructor(columns, place) {
    const hasSliders = columns.length <= MOST_SLIDERS;
    this.fields = columns.map((column, number) => {
      const isRange = column.minimum !== undefined && column.maximum !== undefined && column.minimum < column.maximum;
      return new Field(column, number, hasSliders && isRange);
    });
    place.replaceChildren(...this.fields.map((field) => field.element));
  }

  /** @returns {Record<string, unknown>} */
  get row() {
    return Object.fromEntries(this.fields.map((field) => [field.column.name, field.value]));
  }

  /** @param {Record<string, unknown>} row */
  set row(row) {
    for (const field of this.fields) field.value = row[field.column.name] ?? null;
  }

  /**
   * Show what is said of columns, and take back what was said before.
   * @param {{ column: string, text: string }[]} remarks
   * @param {boolean} areErrors
   */
  show(remarks, areErrors) {
    const byColumn = new Map(remarks.map((remark) => [remark.column, remark.text]));
    for (const field of this.fields) field.say(byColumn.get(field.column.name) ?? "", areErrors);
  }

  /** Put the keyboard into the first field with an error. */
  focusError() {
    this.fields.find((field) => field.said.classList.contains("error"))?.control.focus();
  }
}

/**
 * A number where the text is one, also with a comma, as some keyboards have it; else the text, which the contract refuses.
 * @param {string} text
 * @returns {unknown}
 */
export function numberOf(text) {
  if (text === "") return null;
  const pointed = /^[+-]?\d+,\d+$/.test(text) ? text.replace(",", ".") : text;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(pointed)) return text;
  const number = Number(pointed);
  return /^[+-]?\d+$/.test(pointed) && !Number.isSafeInteger(number) ? BigInt(pointed) : number;
}

/** @param {Column} column */
function hintOf(column) {
  const missing = column.nullable ? ", or missing" : "";
  if (column.categories && column.type !== "boolean") return `${column.categories.length} known${missing}`;
  if (column.low && column.high)
    return `${column.type === "integer" ? "whole, " : ""}${column.low.text} to ${column.high.text}${missing}`;
  return { number: "a number", integer: "a whole number", boolean: "true or false", string: "a text" }[column.type] + missing;
}

/** @param {Column} column */
function optionsOf(column) {
  return column.categories ?? (column.type === "boolean" ? [true, false] : []);
}

/**
 * @param {Column} column
 * @returns {HTMLInputElement | HTMLSelectElement}
 */
function controlOf(column) {
  const options = optionsOf(column);
  if (options.length && options.length <= MOST_OPTIONS) {
    const select = make("select", {});
    select.append(...options.map((option, place) => make("option", { value: String(place), textContent: String(option) })));
    if (column.nullable) select.prepend(make("option", { value: MISSING, textContent: "(missing)" }));
    return select;
  }
  const isText = column.type === "string";
  const placeholder = column.nullable ? "missing" : "";
  return make("input", { type: "text", inputMode: isText ? "text" : "decimal", autocomplete: "off", placeholder });
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Partial<HTMLElementTagNameMap[T]>} properties
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
