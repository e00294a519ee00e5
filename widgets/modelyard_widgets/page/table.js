import { keepKeys, make, uniqueId } from "./dom.js";

/** @import { Block, Context, Drawer } from "./types.js" */

/** Characters of a cell above which its column keeps some width, where a wide table would squeeze it. */
const LONG = 18;
const NUMBER = /^[-+±]?\d[\d.,]*(e[-+]?\d+)?(\s?[%a-zµ]{1,3})?$|^[–-]$/i;

/** @param {string[][]} rows @param {number} place */
function part(rows, place) {
  if (rows.length > 0 && rows.every((row) => NUMBER.test(row[place]))) return "number";
  return rows.some((row) => row[place].length > LONG) ? "words" : "text-cell";
}

/**
 * A cell that chooses its row.
 *
 * @param {string} group @param {Block} block @param {number} place @param {Context} context
 */
function chooser(group, block, place, context) {
  const cell = make("td", "choice");
  const radio = make("input", "choice-radio");
  radio.type = "radio";
  radio.name = group;
  radio.checked = block.chosen === place;
  radio.setAttribute("aria-label", `Choose ${block.rows?.[place].filter(Boolean).slice(0, 2).join(", ")}`);
  keepKeys(radio);
  radio.addEventListener("change", () => context.act(/** @type {string} */ (block.choose), place));
  cell.append(radio);
  return cell;
}

/** What each table was drawn from, but for the choice. @type {WeakMap<Element, string>} */
const cellsOf = new WeakMap();

/** @param {Block} block */
const cells = ({ columns, rows, title, choose }) => JSON.stringify([columns, rows, title, choose]);

/** @type {Drawer} */
export const table = {
  draw: (block, context) => {
    const { columns = [], rows = [], title = "", choose } = block;
    const node = make("table", "table");
    node.append(make("caption", "hidden", title));
    const parts = columns.map((_, place) => part(rows, place));
    const head = node.createTHead().insertRow();
    if (choose) {
      const cell = make("th", "choice");
      cell.append(make("span", "hidden", "Choose"));
      head.append(cell);
    }
    columns.forEach((name, place) => {
      const cell = make("th", parts[place], name);
      cell.scope = "col";
      head.append(cell);
    });
    const body = node.createTBody();
    const group = uniqueId();
    rows.forEach((row, place) => {
      const line = body.insertRow();
      if (choose) line.append(chooser(group, block, place, context));
      row.forEach((text, column) => line.append(make("td", parts[column], text)));
    });

    // a wide table scrolls by itself, by keyboard too
    const frame = make("div", "scroll");
    frame.tabIndex = 0;
    keepKeys(frame);
    frame.setAttribute("role", "group");
    frame.setAttribute("aria-label", title);
    frame.append(node);
    cellsOf.set(frame, cells(block));
    return frame;
  },
  update: (node, block) => {
    // another choice alone leaves the table, and the focus, where they are
    if (cellsOf.get(node) !== cells(block)) return false;
    node.querySelectorAll("input").forEach((radio, place) => (radio.checked = block.chosen === place));
    return true;
  },
};
