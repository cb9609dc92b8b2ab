// The chips of classes, and the table of garments.

/** A button that switches one class; the viewer keeps all toggles of a class in step. */
function classToggle(viewer, { id, name, colour }, { share = null, kind = null, note = null } = {}) {
  const within = kind && el("span", { class: "kind" }, ` · ${kind}`);
  const label = el("span", { class: "name" }, name, within, note && el("span", { class: "note" }, note));
  const whole = name.length > 24 ? `${name}. ` : ""; // which may be cut off
  const button = el(
    "button",
    {
      ...{ type: "button", class: "chip" },
      title: `${whole}Click to show or hide this class, Alt-click to show only this one.`,
      click: (event) => (event.altKey ? viewer.solo(id) : viewer.toggle(id)),
    },
    ...[swatch(colour), label, share && el("span", { class: "share" }, share)],
  );
  viewer.toggles.push({ id, button });
  return button;
}

function colourList(colours) {
  const entries = colours.map(({ hex, name, share }) =>
    el("span", { class: "colour" }, el("i", { style: `--colour:${hex}`, "aria-hidden": "true" }), `${name} ${perCent(share)}`),
  );
  return entries.length ? entries : ["–"];
}

function garmentRow(viewer, garment, largest, isLessLikely = false) {
  const known = viewer.classes.find((each) => each.name === garment.class);
  const { share, gone } = garment;
  const bar = `--colour:${known.colour};--length:${(share / largest) * 100}%`;
  const names = { kind: kindOf(garment), note: gone ? "below the confidence chosen" : likelihood(garment) };
  const row = el(
    "tr",
    { role: "row", class: isLessLikely || gone ? "less" : null },
    el("th", { role: "rowheader", scope: "row" }, classToggle(viewer, known, names)),
    el(
      "td",
      { role: "cell", class: "number" },
      el("div", { class: "measure" }, el("span", {}, gone ? "–" : perCent(share)), el("i", { class: "bar", style: bar, "aria-hidden": "true" })),
    ),
    garment.confidence === null
      ? null
      : el("td", { role: "cell", class: "number confidence" }, gone ? "–" : garment.confidence.toFixed(2)),
    el("td", { role: "cell", class: "colours" }, el("div", {}, ...colourList(garment.colours))),
  );
  return viewer.follow(known.id, row, viewer.isAlone ? null : garment.person);
}

/** A class that is likely although nothing of it was outlined: there is nothing to measure, nor to switch. */
function notOutlinedRow(garment) {
  const swatchOff = el("span", { class: "swatch off", "aria-hidden": "true" });
  const note = el("span", { class: "note" }, `${perCent(garment.presence)} likely, not outlined`);
  const text = el("span", {}, el("span", { class: "name" }, garment.class), " ", note);
  const name = el("div", { class: "unmeasured" }, swatchOff, text);
  return el("tr", { role: "row", class: "whole" }, el("th", { role: "rowheader", scope: "row", colspan: "4" }, name));
}

function headingRow(text, kind = "") {
  const title = el("th", { role: "rowheader", scope: "rowgroup", colspan: "4" }, text);
  return el("tr", { role: "row", class: `heading ${kind}` }, title);
}

/** The rows of one person, largest share first: what counts, what is likely but not outlined, what is less likely. */
function personRows(viewer, { garments, less_likely, not_outlined }, largest, heading) {
  const sorted = (rows) => rows.toSorted((a, b) => b.share - a.share);
  const none = heading && !garments.length && !not_outlined.length;
  return el(
    "tbody",
    { role: "rowgroup" },
    heading && headingRow(heading, "person"),
    none ? el("tr", { role: "row", class: "whole" }, el("td", { role: "cell", colspan: "4" }, "No likely garment")) : null,
    ...sorted(garments).map((garment) => garmentRow(viewer, garment, largest)),
    ...not_outlined.toSorted((a, b) => b.presence - a.presence).map(notOutlinedRow),
    less_likely.length ? headingRow("Less likely") : null,
    ...sorted(less_likely).map((garment) => garmentRow(viewer, garment, largest, true)),
  );
}

/** The table of what is listed: rows of garments, of less likely ones if they are switched on, of those not outlined. */
function garmentTable(viewer, listed, people, title) {
  const garments = [...listed.garments, ...listed.less_likely];
  const largest = Math.max(...garments.map((garment) => garment.share)) || 1;
  const columns = { garment: "Garment", share: "Share of outfit", confidence: "Conf.", colours: "Colours" };
  if (garments.every((garment) => garment.confidence === null)) delete columns.confidence;
  const headers = Object.entries(columns).map(([name, text]) =>
    el("th", { role: "columnheader", scope: "col", class: name }, text),
  );
  return el(
    "table",
    { role: "table", "aria-label": title },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...headers)),
    ...people.map((person) => {
      const ofPerson = ([name, rows]) => [name, rows.filter((garment) => garment.person === person)];
      const theirs = Object.fromEntries(Object.entries(listed).map(ofPerson));
      return personRows(viewer, theirs, largest, people.length > 1 ? `Person ${person + 1}` : null);
    }),
  );
}
