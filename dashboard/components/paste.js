// Photos from the clipboard, and files dropped beside the uploader (which a browser would open instead of the page),
// are put into the uploader as if they had been chosen there.

const OPENING = 3000; // ms until a popover shows what is in it
const listeners = new WeakMap();

class Listener {
  constructor() {
    this.stop = new AbortController();
    const options = { signal: this.stop.signal };
    document.addEventListener("paste", (event) => this.paste(event), options);
    document.addEventListener("dragover", (event) => this.inside(event) || event.preventDefault(), options);
    document.addEventListener("drop", (event) => this.drop(event), options);
  }

  inside(event) {
    return Boolean(event.target.closest?.('[data-testid="stFileUploader"]'));
  }

  paste(event) {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (!files.length) return;
    event.preventDefault();
    const at = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
    const named = (file, index) => {
      const name = `pasted-${at}${files.length > 1 ? `-${index + 1}` : ""}.${file.type.slice(6).replace(/\W.*/, "")}`;
      return new File([file], name, { type: file.type });
    };
    this.give(files.map(named));
  }

  drop(event) {
    if (this.inside(event)) return;
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    this.give(files);
  }

  async give(files) {
    const find = () => document.querySelector(`${this.data.uploader} input[type=file]`);
    if (!find()) document.querySelector(`${this.data.opener} button`)?.click();
    const deadline = performance.now() + OPENING;
    while (!find() && performance.now() < deadline) await new Promise((done) => setTimeout(done, 50));
    const input = find();
    if (!input) return;
    const given = new DataTransfer();
    for (const file of files) given.items.add(file);
    input.files = given.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

export default function mount({ data, parentElement }) {
  if (!listeners.has(parentElement)) listeners.set(parentElement, new Listener());
  listeners.get(parentElement).data = data;
  return () => {
    listeners.get(parentElement)?.stop.abort();
    listeners.delete(parentElement);
  };
}
