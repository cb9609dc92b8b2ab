// A table of numbers that its headings sort. Each number's note (which photos, measured how) is its tooltip, and stands
// under the table when it is tapped. On a phone three columns are left: the model, what it is sorted by, and one more.

const boards = new WeakMap();
const HINT = "Point at a number, or tap it, to read which photos it was measured on and how.";

function el(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null));
  return node;
}

class Board {
  constructor(parent) {
    this.key = null; // of the column it is sorted by
    this.select = el("select", { onchange: () => this.sort(this.select.value, true) });
    this.table = el("table", { className: "leaderboard" });
    this.note = el("p", { className: "leaderboard-note", textContent: HINT });
    this.note.setAttribute("role", "status");
    this.root = el("div", { className: "leaderboard-board" });
    const choice = el("label", { className: "leaderboard-sort" }, "Sort by ", this.select);
    this.root.append(choice, el("div", { className: "leaderboard-scroll" }, this.table), this.note);
    parent.append(this.root);
  }

  update(data) {
    this.data = data;
    if (!data.columns.some((column) => column.key === this.key)) {
      this.key = data.columns[0].key;
      this.falling = true;
    }
    this.select.replaceChildren(
      ...data.columns.map((column) => el("option", { value: column.key, textContent: column.label })),
    );
    this.note.textContent = HINT;
    this.paint();
  }

  /** Sorts by a column, its better end first; by the same one again the other way round. */
  sort(key, fresh) {
    const column = this.data.columns.find((each) => each.key === key);
    this.falling = key === this.key && !fresh ? !this.falling : column.better !== "low";
    this.key = key;
    this.paint();
  }

  paint() {
    const { columns, rows } = this.data;
    const place = columns.findIndex((column) => column.key === this.key);
    const second = place === 0 ? columns.findIndex((column) => column.key === "parameters") : 0;
    const sign = this.falling ? -1 : 1;
    const sorted = rows.toSorted((one, other) => {
      const [a, b] = [one.cells[place].value, other.cells[place].value];
      if (a === null || b === null) return (a === null) - (b === null); // what is not known comes last
      return sign * (a - b);
    });
    const best = columns.map((column, index) => {
      const known = rows.map((row) => row.cells[index].value).filter((value) => value !== null);
      if (known.length < 2 || !column.better) return null;
      return Math[column.better === "high" ? "max" : "min"](...known);
    });
    const lead = (index) => (index === place || index === second ? "lead" : "");
    const heads = columns.map((column, index) => {
      const arrow = index === place ? (this.falling ? " ↓" : " ↑") : "";
      const button = el("button", { type: "button", title: column.meaning, onclick: () => this.sort(column.key) });
      button.append(column.label, el("span", { textContent: arrow, ariaHidden: "true" }));
      const head = el("th", { scope: "col", className: lead(index) }, button);
      head.setAttribute("aria-sort", index === place ? (this.falling ? "descending" : "ascending") : "none");
      return head;
    });
    const body = sorted.map((row) => {
      const name = el("th", { scope: "row", title: row.mark });
      if (row.ink) {
        const swatch = el("i", { className: "ink" });
        swatch.style.background = row.ink;
        name.append(swatch);
      }
      name.append(row.name, row.mark ? el("sup", { textContent: " †" }) : "");
      const cells = row.cells.map((cell, index) => {
        const value = el("span", { textContent: cell.text });
        if (cell.value !== null && cell.value === best[index]) value.className = "best";
        const spread = cell.spread && index === place ? el("small", { textContent: cell.spread }) : null;
        const tell = () => (this.note.textContent = cell.note);
        return el("td", { title: cell.note, className: lead(index), onclick: tell }, value, spread);
      });
      return el("tr", {}, name, ...cells);
    });
    const first = el("th", { scope: "col", textContent: "Model" });
    this.table.replaceChildren(
      el("thead", {}, el("tr", {}, first, ...heads)),
      el("tbody", {}, ...body),
    );
    this.select.value = this.key;
  }
}

export default function mount({ data, parentElement }) {
  if (!boards.has(parentElement)) boards.set(parentElement, new Board(parentElement));
  boards.get(parentElement).update(data);
  return () => {
    boards.get(parentElement)?.root.remove();
    boards.delete(parentElement);
  };
}
