// Saves a chart of the page as a picture. Plotly does the work: its own button is pressed, which is on the page but not
// seen, with the form that was asked for.

const FORMS = [
  { format: "png", label: "Picture (PNG)", scale: 2 },
  { format: "svg", label: "Picture (SVG)", scale: 1 },
];

function save(name, format, scale) {
  const chart = document.querySelector(`.st-key-${CSS.escape(name)} .js-plotly-plot`);
  chart._context.toImageButtonOptions = { filename: name, format, scale };
  chart.querySelector(".modebar-btn").click();
}

export default function mount({ data, parentElement }) {
  const root = document.createElement("div");
  root.className = "picture-forms";
  for (const { format, label, scale } of FORMS) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.onclick = () => save(data.chart, format, scale);
    root.append(button);
  }
  parentElement.replaceChildren(root);
}
