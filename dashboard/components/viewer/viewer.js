// Garmentscope's picture component. Python sends each photo with its class map and confidence once; all that is done
// to them afterwards (opacity, chips, threshold, wipe, zoom, reading) happens in this file.
// One module of five files: words.js, pictures.js, stage.js, table.js and this one, joined in that order.

/** Settings, controls and the stages they act on. */
class Viewer {
  constructor(parent) {
    this.parent = parent;
    this.settings = { opacity: 55, threshold: 0, wipeAt: 0.5 };
    Object.assign(this.settings, { outline: true, differences: false, wipe: false, photo: false, lessLikely: false });
    this.view = { zoom: 1, centre: [0.5, 0.5] };
    this.stages = [];
    this.sides = [-1, 0]; // of the wipe, left and right: indices of stages, -1 is the photo
    this.agreed = null; // 1 where all stages name the same class
    this.classes = [];
    this.toggles = []; // {id, button}: what switches a class
    this.followers = []; // {id, element}: what lights up with a class, and lights it
    this.lit = null;
    this.offPeople = new Set(); // indices of the people who are off
    this.litPerson = null;
    this.originals = new Map(); // photos' own files by address: a bitmap, or null while it is fetched or where it fails
    this.off = null; // ids of the classes that are off; null until the first data say which start so
    this.turn = 0;
    this.build();
    this.resizes = new ResizeObserver(() => this.viewChanged());
    this.resizes.observe(this.stageRow);
  }

  destroy() {
    this.turn++;
    this.resizes.disconnect();
  }

  // Building

  build() {
    this.stageRow = el("div", { class: "stages" });
    this.choices = ["Left", "Right"].map((name, side) => this.buildChoice(name, side));
    const [left, right] = this.choices.map((choice) => choice.label);
    const bench = el("div", { class: "bench" }, left, this.stageRow, right);
    this.strip = el("div", { class: "strip", role: "group", "aria-label": "Garments" });
    this.people = el("div", { class: "chips people", role: "group", "aria-label": "People" });
    this.also = el("div", { class: "also" });
    this.side = el("section", { class: "side" });
    this.status = el("div", { class: "unseen", role: "status", "aria-live": "polite" });
    this.note = el("p", { class: "caption" }, "Coloured: only where the models name different classes.");
    const controls = [this.buildControls(), this.note, this.also];
    const look = el("div", { class: "look" }, bench, this.people, this.strip, ...controls);
    this.layout = el("div", { class: "layout" }, look, this.side);
    // Keys typed here are ours: Streamlit reruns the app on R and opens a dialog on C.
    const keep = (event) => event.stopPropagation();
    this.root = el("div", { class: "viewer", keydown: keep, keyup: keep, keypress: keep }, this.layout, this.status);
  }

  buildControls() {
    this.opacity = this.buildSlider("Opacity", { max: 100, step: 1 }, (value) => this.set({ opacity: value }));
    this.threshold = this.buildSlider("Confidence", { max: 95, step: 5 }, (value) => this.set({ threshold: value }));
    this.modes = {};
    const mode = (name, label, title) => {
      const click = () => this.set({ [name]: !this.settings[name] });
      this.modes[name] = el("button", { type: "button", title, click }, label);
      return this.modes[name];
    };
    const group = el(
      "div",
      { class: "modes", role: "group", "aria-label": "Show" },
      mode("outline", "Outline", "A line along the edge of each class"),
      mode("differences", "Differences", "Only where the models name different classes"),
      mode("wipe", "Wipe", "Photo left of a divider, overlay right of it (W)"),
      mode("photo", "Photo", "Only the photo (Space)"),
    );
    return el("div", { class: "controls" }, el("div", { class: "sliders" }, this.opacity.label, this.threshold.label), group);
  }

  /** What stands on one side of the wipe, where there are several stages. */
  buildChoice(name, side) {
    const select = el("select", { "aria-label": `${name} side of the wipe` });
    select.addEventListener("change", () => this.chooseSide(side, Number(select.value)));
    const note = el("span", { class: "caption" });
    const heading = el("span", { class: "quiet" }, name);
    return { select, note, label: el("label", { class: `choice ${name.toLowerCase()}` }, heading, select, note) };
  }

  buildSlider(name, { max, step }, change) {
    const input = el("input", { type: "range", min: "0", max, step, "aria-label": name });
    input.addEventListener("input", () => change(Number(input.value)));
    const output = el("span", { class: "value", "aria-hidden": "true" });
    return { input, output, label: el("label", { class: "slider" }, el("span", {}, name), input, output) };
  }

  // New data

  async update(data) {
    if (data === this.data) return;
    const turn = ++this.turn;
    this.data = data;
    this.root.setAttribute("aria-busy", "true");
    const pictures = await Promise.all((data?.stages ?? []).map((stage) => this.picture(stage)));
    if (turn !== this.turn) return; // newer data have overtaken these
    this.classes = data.classes;
    if (this.off === null) this.settings.differences = Boolean(data.differences);
    this.off ??= new Set(data.classes.filter((each) => each.group === "background").map((each) => each.id));
    this.showStages(data.stages, pictures);
    this.showChips(data.stages, pictures);
    this.root.style.setProperty("--asked-height", data.height ? `${data.height}px` : "initial");
    this.root.removeAttribute("aria-busy");
    this.parent.querySelector(".skeleton")?.remove();
    if (!this.root.isConnected) this.parent.append(this.root);
    this.refresh();
  }

  /** The decoded picture: the one on show where its id is the same, null where it is damaged. */
  async picture(data) {
    const same = this.stages.find((stage) => stage.picture && stage.data.id === data.id);
    if (same) return same.picture;
    try {
      return await decodePicture(data);
    } catch (error) {
      console.warn(`Garmentscope: ${data.name}: ${error.message}`);
      return null;
    }
  }

  showStages(stages, pictures) {
    const before = this.stages.map((stage) => stage.data.id).join();
    if (before !== stages.map((stage) => stage.id).join()) {
      this.view = { zoom: 1, centre: [0.5, 0.5] };
      this.probe = null;
      this.offPeople.clear();
      this.litPerson = null;
    }
    this.clearProbe();
    if (this.stages.length !== stages.length) {
      this.stages = stages.map(() => new Stage(this));
      this.stageRow.replaceChildren(...this.stages.map((stage) => stage.figure));
    }
    this.stages.forEach((stage, index) => stage.show(stages[index], pictures[index]));
    this.showSeveral(stages, pictures);
  }

  /** What only several stages have: the choice of two to wipe between, and where they differ. */
  showSeveral(stages, pictures) {
    const several = stages.length > 1;
    if (several && !this.root.classList.contains("several")) {
      this.sides = [0, 1];
      this.settings.wipe ||= matchMedia("(max-width: 640px)").matches; // a phone has room for one stage
    } else if (!several) {
      this.sides = [-1, 0];
    } else if (Math.max(...this.sides) >= stages.length) {
      this.sides = [0, 1];
    }
    this.root.classList.toggle("several", several);
    this.root.style.setProperty("--aspect", stages[0].width / stages[0].height);
    this.agreed = pictures.every(Boolean) ? agreed(pictures) : null;
    this.modes.differences.hidden = !this.agreed;
    this.threshold.label.hidden = stages.every((stage) => !stage.confidence);
    this.modes.wipe.title = several
      ? "Two models, one on each side of a divider (W)"
      : "Photo left of a divider, overlay right of it (W)";
    const option = (title, index) => el("option", { value: String(index) }, title);
    const titles = stages.map((stage, index) => option(stage.title, index));
    this.choices[0].select.replaceChildren(option("Photo alone", -1), ...titles.map((each) => each.cloneNode(true)));
    this.choices[1].select.replaceChildren(...titles);
  }

  /** The stage that is seen while a wipe hides the others. */
  get front() {
    return this.stages[this.sides[1]];
  }

  /** Put a stage (or -1, the photo) on a side of the wipe; if it was on the other one, the two change places. */
  chooseSide(side, index) {
    const [before, other] = [this.sides[side], 1 - side];
    if (this.sides[other] === index) this.sides[other] = before >= 0 ? before : (index + 1) % this.stages.length;
    this.sides[side] = index;
    this.refresh();
    this.viewChanged();
  }

  /** Chips of what was found, "Also in the photo", and the table where there is one stage. */
  showChips(stages, pictures) {
    this.toggles = [];
    this.followers = [];
    const found = new Set(pictures.flatMap((picture) => [...(picture?.ids ?? [])]));
    const listed = stages.length === 1 ? this.listed(stages[0]) : { garments: [], less_likely: [] };
    const garments = [...listed.garments, ...listed.less_likely];
    const inTable = (each) => garments.some((garment) => garment.class === each.name);
    const isFolded = (each) => this.folded(stages[0]).some((garment) => garment.class === each.name) && !inTable(each);
    const worn = (each) => each.group === "garment" || each.group === "accessory";
    const inStrip = (each) => (stages.length > 1 ? worn(each) && found.has(each.id) : inTable(each));
    const onePerson = new Set(garments.map((garment) => garment.person)).size === 1;
    const shareOf = (each) => perCent(garments.find((garment) => garment.class === each.name).share);
    const chip = (each) =>
      this.follow(each.id, classToggle(this, each, { share: inTable(each) && onePerson ? shareOf(each) : null }));
    this.strip.replaceChildren(...this.classes.filter(inStrip).map(chip));
    const others = this.classes.filter((each) => found.has(each.id) && !inStrip(each) && !isFolded(each)).map(chip);
    this.showAlso(others, pictures.some(Boolean));
    this.showPeople();
    this.showTable();
  }

  /** Whether there is one person, or nobody tells several apart. */
  get isAlone() {
    return this.stages.length !== 1 || (this.stages[0].data.people ?? []).length < 2;
  }

  /** A button for each of several people, to light them and switch them one by one. */
  showPeople() {
    const people = this.isAlone ? [] : this.stages[0].data.people;
    const button = (person) => {
      const click = (event) => (event.altKey ? this.soloPerson(person) : this.togglePerson(person));
      const title = "Click to show or hide this person, Alt-click to show only this one.";
      const chip = el("button", { type: "button", class: "chip", title, click }, `Person ${person + 1}`);
      chip.setAttribute("aria-pressed", !this.offPeople.has(person));
      chip.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && this.lightPerson(person));
      chip.addEventListener("pointerleave", () => this.lightPerson(null));
      chip.addEventListener("focus", () => this.lightPerson(person));
      chip.addEventListener("blur", () => this.lightPerson(null));
      return chip;
    };
    this.people.replaceChildren(...people.map((_, person) => button(person)));
    this.people.hidden = !people.length;
  }

  togglePerson(person) {
    if (!this.offPeople.delete(person)) this.offPeople.add(person);
    this.peopleChanged();
  }

  soloPerson(person) {
    const others = this.stages[0].data.people.map((_, index) => index).filter((index) => index !== person);
    const alone = !this.offPeople.has(person) && others.every((index) => this.offPeople.has(index));
    this.offPeople = new Set(alone ? [] : others);
    this.peopleChanged();
  }

  peopleChanged() {
    [...this.people.children].forEach((chip, person) => chip.setAttribute("aria-pressed", !this.offPeople.has(person)));
    this.classesChanged();
  }

  lightPerson(person) {
    if (person === this.litPerson) return;
    this.litPerson = person;
    this.redraw();
  }

  /** The table beside a single stage; drawn anew when what is listed or measured changes. */
  showTable() {
    const { stages } = this.data;
    this.followers = this.followers.filter(({ element }) => !this.side.contains(element));
    this.toggles = this.toggles.filter(({ button }) => !this.side.contains(button));
    this.side.replaceChildren(...(stages.length === 1 ? this.tableSide(stages[0]) : []));
  }

  /** A photo's own file as a bitmap; null while it is on its way, and where the browser cannot read it. */
  original(address) {
    if (!this.originals.has(address)) {
      this.originals.clear(); // one at a time: it is large
      this.originals.set(address, null);
      this.fetchOriginal(address).then(
        (bitmap) => this.originals.has(address) && this.originals.set(address, bitmap) && this.redraw(),
        (error) => console.warn(`Garmentscope: ${error.message}`),
      );
    }
    return this.originals.get(address);
  }

  async fetchOriginal(address) {
    const answer = await fetch(new URL(`.${address}`, location.href));
    if (!answer.ok) throw new Error(`the original answers ${answer.status}`);
    const blob = await answer.blob();
    const { width, height } = this.stages[0].data;
    const side = width >= height ? "resizeWidth" : "resizeHeight";
    return createImageBitmap(blob, { [side]: MAX_ORIGINAL, resizeQuality: "high" });
  }

  showAlso(chips, canExport) {
    const click = () => this.download();
    const label = chips.length ? el("span", { class: "quiet" }, "Also in the photo") : "";
    const download = el("button", { type: "button", class: "download", click }, `Overlay${this.stages.length > 1 ? "s" : ""} as shown (PNG)`);
    this.also.replaceChildren(el("div", { class: "chips" }, label, ...chips), canExport ? download : "");
  }

  /** Less likely garments are switched on and off where they are listed; several stages show what each model outlined. */
  get hidesLessLikely() {
    return this.stages.length === 1 && !this.settings.lessLikely;
  }

  folded({ less_likely }) {
    return this.hidesLessLikely ? less_likely : [];
  }

  /** What the table lists of a stage; shares are of what is listed. */
  listed(stage) {
    const { garments, less_likely, not_outlined } = stage;
    const folded = this.folded(stage).length > 0;
    const listed = { garments, less_likely: folded ? [] : less_likely };
    const over = this.overThreshold(listed);
    if (over) return { ...over, not_outlined };
    if (folded) return { garments: sharesAmong(garments), less_likely: [], not_outlined };
    const measured = (rows) => rows.map((garment) => ({ ...garment, share: garment.outfit_share }));
    return { garments: measured(garments), less_likely: measured(less_likely), not_outlined };
  }

  /** The rows measured on the pixels that the confidence slider leaves; null while it leaves all. */
  overThreshold(listed) {
    const { threshold } = this.settings;
    const [stage] = this.stages;
    if (!threshold || !stage?.picture?.confidence) return null;
    const idOf = (garment) => this.classes.find((each) => each.name === garment.class).id;
    const left = (garment) => ({ ...garment, ...stage.measured(garment.person, idOf(garment), threshold) });
    const rows = { garments: listed.garments.map(left), less_likely: listed.less_likely.map(left) };
    const sums = new Map();
    for (const { person, pixels } of Object.values(rows).flat()) sums.set(person, (sums.get(person) ?? 0) + pixels);
    const shared = (row) => ({ ...row, gone: !row.pixels, share: row.pixels / (sums.get(row.person) || 1), confidence: row.confidence ?? 0 });
    return { garments: rows.garments.map(shared), less_likely: rows.less_likely.map(shared) };
  }

  tableSide(stage) {
    const { title, caption, garments, less_likely, not_outlined } = stage;
    const people = new Set([...garments, ...less_likely, ...not_outlined].map((garment) => garment.person));
    const listed = this.listed(stage);
    const table = () => garmentTable(this, listed, [...people].sort((a, b) => a - b), title);
    const none = less_likely.length ? "No likely garment in this photo." : "No garment found in this photo.";
    const body = Object.values(listed).some((rows) => rows.length) ? table() : el("p", {}, none);
    const fold = less_likely.length ? this.buildFold(less_likely) : "";
    const { threshold } = this.settings;
    const over = `Shares and confidence are of the pixels with a confidence of ${(threshold / 100).toFixed(2)} or more. `;
    const words = (threshold && this.stages[0].picture?.confidence ? over : "") + caption;
    return [el("h2", {}, title), body, fold, el("p", { class: "caption" }, words)];
  }

  /** The button that lists and paints the less likely garments, or folds them away. */
  buildFold(lessLikely) {
    const { lessLikely: isOpen } = this.settings;
    const click = () => {
      this.set({ lessLikely: !isOpen });
      this.side.querySelector(".fold").focus(); // another button than the one pressed
    };
    const text = `${isOpen ? "Hide" : "Show"} ${countOf(lessLikely)}`;
    return el("button", { type: "button", class: "fold", "aria-expanded": String(isOpen), click }, text);
  }

  // Classes

  nameOf(id) {
    return this.classes.find((each) => each.id === id)?.name ?? "Unlabelled";
  }

  colourOf(id) {
    return this.classes.find((each) => each.id === id)?.colour ?? "transparent";
  }

  /** Light an element up with its class, and the class, and the person if one is given, with the element. */
  follow(id, element, person = null) {
    this.followers.push({ id, element });
    const light = (event, isOn) => {
      if (event.pointerType !== "mouse") return;
      this.light(isOn ? id : null);
      if (person !== null) this.lightPerson(isOn ? person : null);
    };
    element.addEventListener("pointerenter", (event) => light(event, true));
    element.addEventListener("pointerleave", (event) => light(event, false));
    return element;
  }

  toggle(id) {
    if (!this.off.delete(id)) this.off.add(id);
    this.classesChanged();
  }

  /** Show one class only; the second time, what was shown before. */
  solo(id) {
    const others = new Set(this.classes.map((each) => each.id).filter((each) => each !== id));
    const alone = !this.off.has(id) && [...others].every((each) => this.off.has(each));
    [this.off, this.beforeSolo] = alone && this.beforeSolo ? [this.beforeSolo, null] : [others, this.off];
    this.classesChanged();
  }

  light(id) {
    if (id === this.lit) return;
    this.lit = id;
    for (const follower of this.followers) follower.element.classList.toggle("lit", follower.id === id);
    this.redraw();
  }

  classesChanged() {
    for (const stage of this.stages) stage.visible = null;
    this.refresh();
  }

  // Settings

  set(change) {
    if (change.wipe) change.photo = false;
    Object.assign(this.settings, change);
    if ("lessLikely" in change) this.showChips(this.data.stages, this.stages.map((stage) => stage.picture));
    else if ("threshold" in change) this.showTable();
    if (["threshold", "differences", "lessLikely"].some((name) => name in change)) this.classesChanged();
    else this.refresh();
  }

  wipeTo(place) {
    this.set({ wipeAt: clamp(place, 0, 1) });
  }

  /** Bring every control in line with the settings. */
  refresh() {
    const { opacity, threshold } = this.settings;
    this.showSlider(this.opacity, opacity, 100, `${opacity}%`);
    this.showSlider(this.threshold, threshold, 95, threshold ? `≥ ${(threshold / 100).toFixed(2)}` : "off");
    for (const [name, button] of Object.entries(this.modes)) button.setAttribute("aria-pressed", this.settings[name]);
    for (const { id, button } of this.toggles) button.setAttribute("aria-pressed", !this.off.has(id));
    this.note.hidden = !(this.settings.differences && this.agreed);
    this.showSides();
    for (const stage of this.stages) {
      stage.showWipe(this.settings);
      stage.showLabel();
    }
    this.redraw();
  }

  /** While wiping between two of several stages, only the right one's box is there, and holds both. */
  showSides() {
    const wiping = this.settings.wipe && this.stages.length > 1;
    this.root.classList.toggle("wiping", wiping);
    this.stages.forEach((stage, index) => {
      stage.figure.hidden = wiping && stage !== this.front;
      stage.rival = stage === this.front ? (this.stages[this.sides[0]] ?? null) : null;
    });
    this.choices.forEach(({ select, note, label }, side) => {
      label.hidden = !wiping;
      select.value = String(this.sides[side]);
      note.textContent = this.stages[this.sides[side]]?.data.caption ?? "";
    });
  }

  showSlider({ input, output }, value, max, text) {
    input.value = value;
    input.style.setProperty("--done", `${(value / max) * 100}%`);
    input.setAttribute("aria-valuetext", text);
    output.textContent = text;
  }

  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.root.classList.toggle("zoomed", this.view.zoom > 1);
      for (const stage of this.stages) stage.draw();
    });
  }

  // Zoom and pan, one for all stages

  /** Multiply the zoom, keeping the box place `at` where it is; factor 0 fits. */
  zoomBy(stage, factor, at = [stage.box.clientWidth / 2, stage.box.clientHeight / 2]) {
    const place = stage.toPicture(at);
    const zoom = clamp(this.view.zoom * factor, 1, MAX_ZOOM);
    this.view = { zoom, centre: stage.centreFor(place, at, zoom) };
    this.viewChanged();
    this.say(`Zoom ${Math.round(zoom * 100)}%`);
  }

  /** Follow fingers or mouse from one gesture state to the next. */
  drag(stage, before, after) {
    const pinch = before.spread && after.spread ? after.spread / before.spread : 1;
    if (this.view.zoom * pinch <= 1 && this.view.zoom === 1) return;
    const place = stage.toPicture(before.middle);
    const zoom = clamp(this.view.zoom * pinch, 1, MAX_ZOOM);
    this.view = { zoom, centre: stage.centreFor(place, after.middle, zoom) };
    this.viewChanged();
    if (pinch !== 1) this.say(`Zoom ${Math.round(zoom * 100)}%`);
  }

  viewChanged() {
    this.clearProbe();
    this.redraw();
  }

  // Reading

  /** Read all stages at a place of the picture; `how` is hover, tap or key. */
  probeAt(source, place, how) {
    const reading = source.seenAt(place).read(place);
    if (!reading) return this.clearProbe();
    this.probe = place;
    const readings = this.stages.map((stage) => stage.read(place));
    for (const stage of this.stages) if (stage.picture) stage.showTip(stage.seenAt(place).read(place), place, how);
    this.light(reading.id);
    const sure = ({ likely, confidence }) =>
      (likely ? `, ${likely}` : "") + (confidence ? `, confidence ${confidence}` : "");
    const words = readings.map((each) => each && each.name + sure(each));
    const named = words.map((text, index) => (words.length > 1 ? `${this.stages[index].data.title}: ${text}` : text));
    this.say(named.join("; "));
  }

  clearProbe() {
    for (const stage of this.stages) stage.hideTip();
    this.light(null);
  }

  say(text) {
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  /** Move the reading by keyboard; the picture follows when the place is out of the box. */
  stepProbe(stage, [right, down], far) {
    const step = (far ? 0.08 : 0.01) * Math.max(stage.picture.width, stage.picture.height);
    const [u, v] = this.probe ?? [0.5, 0.5];
    const place = [
      clamp(u + (right * step) / stage.picture.width, 0, 0.9999),
      clamp(v + (down * step) / stage.picture.height, 0, 0.9999),
    ];
    const [x, y] = stage.toBox(place);
    const [width, height] = [stage.box.clientWidth, stage.box.clientHeight];
    if (x < 0 || y < 0 || x > width || y > height) {
      this.view.centre = stage.centreFor(place, [width / 2, height / 2], this.view.zoom);
      this.viewChanged();
    }
    this.probeAt(stage, place, "key");
  }

  key(stage, event) {
    if (event.target !== stage.box || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const { opacity, wipe, photo } = this.settings;
    const actions = {
      "+": () => this.zoomBy(stage, 1.5),
      "=": () => this.zoomBy(stage, 1.5),
      "-": () => this.zoomBy(stage, 1 / 1.5),
      0: () => this.zoomBy(stage, 0),
      " ": () => this.set({ photo: !photo }),
      w: () => this.set({ wipe: !wipe }),
      "[": () => this.set({ opacity: clamp(opacity - 5, 0, 100) }),
      "]": () => this.set({ opacity: clamp(opacity + 5, 0, 100) }),
      escape: () => this.clearProbe(),
    };
    const arrow = arrows[event.key];
    const act = arrow ? () => this.stepProbe(stage, arrow, event.shiftKey) : actions[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  // Download

  async download() {
    const stages = this.stages.filter((stage) => stage.picture);
    const several = stages.length > 1;
    const canvas = several ? sideBySide(stages) : stages[0].export();
    const url = URL.createObjectURL(await canvas.convertToBlob({ type: "image/png" }));
    const stem = stages[0].data.name.replace(/\.[^.]+$/, "");
    el("a", { href: url, download: `${stem}-overlay${several ? "s" : ""}.png` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}

/** The overlays of several models on one canvas, each under its name. */
function sideBySide(stages) {
  const canvases = stages.map((stage) => stage.export());
  const [{ width, height }] = canvases;
  const gap = Math.round(height / 40);
  const canvas = hiddenCanvas(canvases.length * (width + gap) + gap, height + 4 * gap);
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#1b1b1d";
  context.font = `${Math.round(gap * 1.4)}px ${getComputedStyle(stages[0].box).fontFamily}`;
  canvases.forEach((each, place) => {
    const left = gap + place * (width + gap);
    context.fillText(stages[place].data.title, left, 2 * gap, width);
    context.drawImage(each, left, 3 * gap);
  });
  return canvas;
}

// ---------------------------------------------------------------- mounting

// With a key, new data call this function again on the same parent, and the old clean-up is not run.
const viewers = new WeakMap();

export default function mount({ data, parentElement }) {
  if (!viewers.has(parentElement)) viewers.set(parentElement, new Viewer(parentElement));
  const viewer = viewers.get(parentElement);
  viewer.update(data);
  return () => {
    viewer.destroy();
    viewers.delete(parentElement);
  };
}
