// Saves a chart of the page as a picture with its title, and below it what it shows: filter, number, period, model, date.
// Plotly does the work: its own button is pressed, which is on the page but not seen, with the form that was asked for.

const FORMS = [
  { format: "png", label: "Picture (PNG)", scale: 2 },
  { format: "svg", label: "Picture (SVG)", scale: 1 },
];
const SIDE = 12; // pixels around the picture
const TITLE = 20; // height of a line of the title, and of a note; and how wide a letter is at most
const NOTE = 15;
const LETTER = 5.7;
const NARROWEST = 480; // a picture is at least so wide, that its notes are not all of it

function lines(notes, width) {
  const found = [];
  for (const note of notes) {
    let line = "";
    for (const word of note.split(" ")) {
      if (line && (line.length + word.length + 1) * LETTER > width) {
        found.push(line);
        line = word;
      } else line = line ? `${line} ${word}` : word;
    }
    found.push(line);
  }
  return found;
}

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function save({ chart: name, title, notes }, format, scale) {
  const chart = document.querySelector(`.st-key-${CSS.escape(name)} .js-plotly-plot`);
  const shown = chart.layout;
  const { width: wide, height, _size: size, font } = chart._fullLayout;
  const width = Math.max(wide, NARROWEST);
  const below = lines(notes, width - 2 * SIDE).map(escaped);
  const text = [
    ...(title ? [escaped(title)] : []),
    ...below.map((line) => `<span style="font-size:11px">${line}</span>`),
  ].join("<br>");
  const head = 2 * SIDE + TITLE * Boolean(title) + NOTE * below.length * 1.45;
  chart._context.toImageButtonOptions = { filename: name, format, scale, width, height: height + head };
  chart.layout = {
    ...shown,
    title: {
      text,
      font: { ...font, size: 17 },
      x: 0,
      xref: "container",
      xanchor: "left",
      y: 1,
      yref: "container",
      yanchor: "top",
      pad: { t: SIDE, l: SIDE },
    },
    margin: { l: size.l, r: size.r, b: size.b, t: size.t + head },
  };
  // The button's own function: a click on it would be one beside the menu, and close it. It copies the layout at once.
  const toImage = chart._fullLayout._modeBar?.buttons?.[0]?.[0];
  if (typeof toImage?.click === "function") toImage.click(chart, {});
  else chart.querySelector(".modebar-btn").click();
  chart.layout = shown;
}

// Plotly saves a file by a click on a link at the end of the page, beside the menu: what is open must not hear of it.
function hush(event) {
  if (!event.isTrusted && event.target.download) event.stopPropagation();
}

export default function mount({ data, parentElement }) {
  window.addEventListener("click", hush, true);
  const root = document.createElement("div");
  root.className = "picture-forms";
  for (const { format, label, scale } of FORMS) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.onclick = () => save(data, format, scale);
    root.append(button);
  }
  parentElement.replaceChildren(root);
}
