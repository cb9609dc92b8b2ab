// Streamlit's uploader refuses a file over its `max_upload_size` in the browser and tells Python nothing. This reads
// each selection before the uploader does, and sends the names and sizes of the files that it will refuse.
//
// It must not make the script run while the uploader asks the server where to send the other files: a run that starts
// then clears the answer from the server's queue, and the files are lost. So it waits until they have been taken in.

const LONGEST_WAIT = 15_000; // ms; for files that never arrive
const watches = new WeakMap();

class Watch {
  constructor() {
    this.stop = new AbortController();
    const options = { capture: true, signal: this.stop.signal };
    document.addEventListener("drop", (event) => this.read(event, event.dataTransfer?.files), options);
    document.addEventListener("change", (event) => this.read(event, event.target.files), options);
  }

  update({ bytes, intake }, setTriggerValue) {
    const taken = this.intake !== undefined && intake !== this.intake;
    Object.assign(this, { bytes, intake, setTriggerValue });
    if (taken) this.send();
  }

  read(event, files) {
    if (!event.target.closest?.('[data-testid="stFileUploader"]')) return;
    const refused = [...(files ?? [])].filter((file) => file.size > this.bytes);
    if (!refused.length) return;
    clearTimeout(this.timer);
    const alone = refused.length === files.length;
    this.pending = { alone, files: refused.map((file) => ({ name: file.name, size: file.size })) };
    if (alone) this.send();
    else this.timer = setTimeout(() => this.send(), LONGEST_WAIT);
  }

  send() {
    clearTimeout(this.timer);
    if (this.pending) this.setTriggerValue("refused", this.pending);
    this.pending = null;
  }
}

export default function mount({ data, parentElement, setTriggerValue }) {
  if (!watches.has(parentElement)) watches.set(parentElement, new Watch());
  watches.get(parentElement).update(data, setTriggerValue);
  return () => {
    watches.get(parentElement).stop.abort();
    watches.delete(parentElement);
  };
}
