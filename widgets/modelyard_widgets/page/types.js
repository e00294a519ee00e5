/**
 * What a panel is made of. The kernel says blocks, the page draws them; a control says its key and its value back.
 *
 * @typedef {object} Option
 * @property {string} value
 * @property {string} label
 *
 * @typedef {object} Control
 * @property {string} key  what is sent back with the value
 * @property {"range" | "number" | "select" | "text" | "area" | "check" | "radio" | "button"} type
 * @property {string} label
 * @property {any} [value]
 * @property {number} [min]
 * @property {number} [max]
 * @property {number | "any"} [step]
 * @property {string} [unit]
 * @property {Option[]} [options]  of a select and of radio buttons
 * @property {string[]} [suggestions]  of a text
 * @property {string} [help]
 * @property {boolean} [disabled]
 * @property {boolean} [always]  may be used while the panel is busy
 * @property {"primary" | "danger"} [tone]
 *
 * @typedef {object} Figure
 * @property {string} label
 * @property {string} value
 * @property {string} [note]
 * @property {"good" | "warning" | "error"} [tone]
 *
 * @typedef {object} Bar
 * @property {string} label
 * @property {string} value  the number, in words
 * @property {number} share  how long it is, from 0 to 1
 * @property {"good" | "warning" | "error"} [tone]
 *
 * @typedef {object} Tab
 * @property {string} key
 * @property {string} label
 * @property {Block[]} blocks
 *
 * @typedef {object} Block  its other properties are those of its type
 * @property {string} key  no other block of the panel has it
 * @property {string} type
 * @property {string} [text]
 * @property {string} [title]
 * @property {string} [label]
 * @property {"good" | "warning" | "error"} [tone]
 * @property {string[]} [items]
 * @property {string[]} [columns]
 * @property {string[][]} [rows]
 * @property {string} [choose]  of a table: the key that a chosen row is sent with
 * @property {number | null} [chosen]
 * @property {string} [svg]  drawn with `currentColor`, so that it takes the page's colour
 * @property {string} [alt]
 * @property {Control[]} [controls]
 * @property {Figure[]} [figures]
 * @property {boolean} [live]  of figures: a screen reader says what changes
 * @property {Bar[]} [bars]
 * @property {Tab[]} [tabs]
 * @property {Block[]} [blocks]
 * @property {"cells" | "pinned"} [layout]  of a group: equally wide, or seen while what is below it is scrolled
 * @property {boolean} [open]
 * @property {number | null} [value]
 * @property {number} [max]
 *
 * @typedef {(key: string, value: any) => void} Act  tells the kernel that somebody used a control
 *
 * @typedef {object} Context
 * @property {Act} act
 * @property {(parent: Element, blocks: Block[]) => void} sync  lets an element show just these blocks
 *
 * @typedef {object} Drawer
 * @property {(block: Block, context: Context) => HTMLElement} draw
 * @property {(node: HTMLElement, block: Block, context: Context) => boolean} [update]  false: it has to be drawn anew
 */

export {};
