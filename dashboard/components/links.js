// A sentence with links. A click is answered by the page without loading it anew; opened in another tab, or copied, a
// link is an address like any other.

export default function mount({ data, parentElement, setTriggerValue }) {
  const line = document.createElement("p");
  line.className = "insights";
  data.parts.forEach(({ text, href }, place) => {
    if (!href) {
      line.append(text);
      return;
    }
    const link = document.createElement("a");
    link.href = href;
    link.textContent = text;
    link.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      setTriggerValue("followed", place);
    };
    line.append(link);
  });
  parentElement.replaceChildren(line);
}
