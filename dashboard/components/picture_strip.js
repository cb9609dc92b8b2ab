// Small pictures as buttons; the one on show is pressed.

const strips = new WeakMap();

class Strip {
  constructor(parent) {
    this.root = document.createElement("div");
    this.root.className = "strip";
    this.root.setAttribute("role", "group");
    parent.append(this.root);
  }

  update({ label, pictures, chosen }, setTriggerValue) {
    this.root.setAttribute("aria-label", label);
    const names = pictures.map(({ title }) => title).join();
    if (names !== this.names) {
      this.names = names;
      this.root.replaceChildren(...pictures.map((picture, index) => this.button(picture, index)));
    }
    this.choose = (index) => {
      this.mark(index); // at once; the server's answer says the same
      setTriggerValue("chosen", index);
    };
    this.mark(chosen);
  }

  button({ title, jpeg }, index) {
    const button = document.createElement("button");
    button.type = "button";
    const image = document.createElement("img");
    Object.assign(image, { src: `data:image/jpeg;base64,${jpeg}`, alt: "" });
    button.append(image, title);
    button.addEventListener("click", () => this.choose(index));
    return button;
  }

  mark(chosen) {
    [...this.root.children].forEach((button, index) => button.setAttribute("aria-pressed", index === chosen));
  }
}

export default function mount({ data, parentElement, setTriggerValue }) {
  if (!strips.has(parentElement)) strips.set(parentElement, new Strip(parentElement));
  strips.get(parentElement).update(data, setTriggerValue);
  return () => {
    strips.get(parentElement)?.root.remove();
    strips.delete(parentElement);
  };
}
