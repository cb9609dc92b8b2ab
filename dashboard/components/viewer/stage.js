// One stage: a photo under its overlay.

/** A photo under its overlay, in a box that it fits into; knows places and pixels, but no settings. */
class Stage {
  constructor(viewer) {
    this.viewer = viewer;
    this.photo = el("canvas", { class: "photo" });
    this.overlay = el("canvas", { class: "overlay" });
    this.beneath = el("canvas", { class: "overlay" }); // the rival's, left of the divider
    this.rival = null; // the stage that a wipe compares this one with; null compares it with the photo
    this.surface = el("div", { class: "surface" }, this.photo, this.beneath, this.overlay);
    this.marker = el("div", { class: "marker", hidden: "" });
    this.tip = el("div", { class: "tip", hidden: "", "aria-hidden": "true" });
    this.trouble = el("p", { class: "trouble", hidden: "" });
    this.hint = el("p", { class: "hint", hidden: "", "aria-hidden": "true" }, WHEEL_WORDS);
    this.frame = el("div", { class: "frame", hidden: "" });
    this.marks = el("div", { class: "marks", "aria-hidden": "true" });
    this.divider = this.buildDivider();
    this.tools = this.buildTools();
    this.box = el(
      "div",
      { class: "stage", tabindex: "0", role: "application", "aria-description": STAGE_KEYS },
      ...[this.surface, this.frame, this.marks, this.divider, this.marker, this.tip, this.hint, this.trouble],
    );
    this.heading = el("h3");
    this.caption = el("p", { class: "caption" });
    this.figure = el("div", { class: "figure" }, this.heading, this.box, this.tools, this.caption);
    this.pointers = new Map();
    this.listen();
  }

  show(data, picture) {
    this.data = data;
    this.picture = picture;
    this.visible = null;
    this.box.style.aspectRatio = `${data.width} / ${data.height}`;
    this.heading.textContent = data.title;
    this.caption.textContent = data.caption;
    this.trouble.textContent = picture ? "" : couldNotBeShown(data.name);
    this.trouble.hidden = Boolean(picture);
    this.surface.hidden = this.tools.hidden = !picture;
    this.marks.replaceChildren(...(data.people ?? []).map((_, person) => el("span", {}, String(person + 1))));
    this.counts = null;
  }

  // Places. u and v run from 0 to 1 over the picture; x and y are CSS pixels in the box.

  /** CSS pixels per picture pixel, and where the picture's corner lies. */
  placement() {
    const { width, height } = this.picture;
    const { zoom, centre } = this.viewer.view;
    const [boxWidth, boxHeight] = [this.box.clientWidth, this.box.clientHeight];
    const scale = Math.min(boxWidth / width, boxHeight / height) * zoom;
    const start = (size, box, middle) =>
      size <= box ? (box - size) / 2 : clamp(box / 2 - middle * size, box - size, 0);
    return {
      scale,
      left: start(width * scale, boxWidth, centre[0]),
      top: start(height * scale, boxHeight, centre[1]),
    };
  }

  /** Box position of a pointer event. */
  at(event) {
    const box = this.box.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  toPicture([x, y]) {
    const { scale, left, top } = this.placement();
    return [(x - left) / (this.picture.width * scale), (y - top) / (this.picture.height * scale)];
  }

  toBox([u, v]) {
    const { scale, left, top } = this.placement();
    return [left + u * this.picture.width * scale, top + v * this.picture.height * scale];
  }

  /** The centre that puts picture place (u, v) at box place (x, y), kept so that no margin opens. */
  centreFor([u, v], [x, y], zoom) {
    const { width, height } = this.picture;
    const [boxWidth, boxHeight] = [this.box.clientWidth, this.box.clientHeight];
    const scale = Math.min(boxWidth / width, boxHeight / height) * zoom;
    const keep = (place, offset, size, box) => {
      const half = box / 2 / (size * scale);
      return half >= 0.5 ? 0.5 : clamp(place - offset / (size * scale), half, 1 - half);
    };
    return [keep(u, x - boxWidth / 2, width, boxWidth), keep(v, y - boxHeight / 2, height, boxHeight)];
  }

  /** Class and, if known, confidence at a place, and how likely its garment is if it is less likely; null outside. */
  read([u, v]) {
    if (!this.picture || u < 0 || v < 0 || u >= 1 || v >= 1) return null;
    const { width, height, classes, confidence } = this.picture;
    const i = Math.floor(v * height) * width + Math.floor(u * width);
    const name = this.viewer.nameOf(classes[i]);
    const garment = this.data.less_likely[(this.picture.lessLikely?.[i] ?? 0) - 1];
    const likely = garment ? likelihood(garment) : null;
    return { id: classes[i], name, likely, confidence: confidence && (confidence[i] / 100).toFixed(2) };
  }

  /** The stage whose overlay is seen at a place: the rival left of the divider, else this one. */
  seenAt(place) {
    const { wipe, wipeAt, photo } = this.viewer.settings;
    const isLeft = wipe && !photo && this.toBox(place)[0] < wipeAt * this.box.clientWidth;
    return isLeft && this.rival?.picture ? this.rival : this;
  }

  // Drawing

  draw() {
    if (!this.picture || !this.box.clientWidth) return;
    const density = Math.min(devicePixelRatio, MAX_DENSITY);
    const width = Math.round(this.box.clientWidth * density);
    const height = Math.round(this.box.clientHeight * density);
    const place = this.placement();
    const device = { scale: place.scale * density, left: place.left * density, top: place.top * density };
    this.drawPhoto(device, width, height);
    this.drawOverlay(device, width, height, density);
    this.placeMarks(place);
  }

  /** The number of each person above the head, and a frame around the one that is lit. */
  placeMarks({ scale, left, top }) {
    const people = this.data.people ?? [];
    const { litPerson, offPeople } = this.viewer;
    people.forEach(([x, y, width], person) => {
      const mark = this.marks.children[person];
      const [across, up] = [left + (x + width / 2) * scale, top + y * scale - 14];
      mark.style.translate = `${Math.round(clamp(across, 14, this.box.clientWidth - 14))}px ${Math.round(clamp(up, 14, this.box.clientHeight - 14))}px`;
      mark.classList.toggle("off", offPeople.has(person));
      mark.classList.toggle("lit", litPerson === person);
    });
    const lit = people[litPerson];
    this.frame.hidden = !lit;
    if (!lit) return;
    const [x, y, width, height] = lit;
    Object.assign(this.frame.style, {
      translate: `${left + x * scale}px ${top + y * scale}px`,
      width: `${width * scale}px`,
      height: `${height * scale}px`,
    });
  }

  /** Pixels and mean confidence of a class on a person, of those that the threshold leaves; null without confidence. */
  measured(person, id, threshold) {
    if (!this.picture?.confidence) return null;
    this.counts ??= countByConfidence(this.picture, Math.max(1, this.data.people?.length ?? 1));
    let [pixels, sum] = [0, 0];
    for (let step = Math.round(threshold / 5); step <= 20; step++) {
      const count = this.counts[person]?.[id * 21 + step] ?? 0;
      pixels += count;
      sum += count * step * 0.05;
    }
    return { pixels, confidence: pixels ? sum / pixels : null };
  }

  drawPhoto({ scale, left, top }, width, height) {
    const original = scale > SHARP && this.data.original ? this.viewer.original(this.data.original) : null;
    const photo = original ?? this.picture.photo;
    const state = [scale, left, top, width, height, this.data.id, photo.width].join();
    if (state === this.photoState) return;
    this.photoState = state;
    Object.assign(this.photo, { width, height });
    const context = this.photo.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(photo, left, top, this.picture.width * scale, this.picture.height * scale);
  }

  drawOverlay(placement, width, height, density) {
    const { settings, lit, classes } = this.viewer;
    const isWiped = settings.wipe && Boolean(this.rival?.picture);
    this.overlay.hidden = settings.photo;
    this.beneath.hidden = settings.photo || !isWiped;
    if (settings.photo) return;
    const ink = mixInk(classes, settings, lit, density);
    const put = (canvas, stage) => {
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.putImageData(paintOverlay(stage.picture, stage.seen(), placement, width, height, ink), 0, 0);
    };
    put(this.overlay, this);
    if (isWiped) put(this.beneath, this.rival);
  }

  /** The classes to be seen, kept until chips, threshold, differences or less likely garments are switched. */
  seen() {
    const { settings, off, offPeople, agreed } = this.viewer;
    const hidden = [settings.differences && agreed, this.viewer.hidesLessLikely && this.picture.lessLikely];
    this.visible ??= visibleClasses(this.picture, off, offPeople, settings.threshold, hidden.filter(Boolean));
    return this.visible;
  }

  showLabel() {
    const { name, less_likely } = this.data;
    const except = this.viewer.hidesLessLikely && less_likely.length ? `, except ${countOf(less_likely)}` : "";
    this.box.setAttribute("aria-label", `Photo ${name} with the classes found in it${except}`);
  }

  /** Photo and overlay as shown, at the picture's own size, on a canvas. */
  export() {
    const { width, height, photo } = this.picture;
    const { classes, settings } = this.viewer;
    const { clientWidth, clientHeight } = this.viewer.front.box; // a wipe hides the other boxes
    const density = 1 / Math.min(clientWidth / width, clientHeight / height);
    const ink = mixInk(classes, settings, null, Math.max(density, 1));
    const layer = hiddenCanvas(width, height);
    const place = { scale: 1, left: 0, top: 0 };
    layer.getContext("2d").putImageData(paintOverlay(this.picture, this.seen(), place, width, height, ink), 0, 0);
    const canvas = hiddenCanvas(width, height);
    const context = canvas.getContext("2d");
    context.drawImage(photo, 0, 0);
    context.drawImage(layer, 0, 0);
    return canvas;
  }

  // Zoom buttons and wipe divider

  buildTools() {
    const zoomBy = (factor) => () => this.viewer.zoomBy(this, factor);
    return el(
      "div",
      { class: "tools", role: "group", "aria-label": "Zoom" },
      el("button", { type: "button", "aria-label": "Zoom in", click: zoomBy(1.5) }, "+"),
      el("button", { type: "button", "aria-label": "Zoom out", click: zoomBy(1 / 1.5) }, "−"),
      el("button", { type: "button", "aria-label": "Fit the whole photo", click: zoomBy(0) }, "Fit"),
    );
  }

  buildDivider() {
    const follow = (event) => {
      if (event.buttons) this.viewer.wipeTo(this.at(event)[0] / this.box.clientWidth);
    };
    const start = (event) => {
      event.currentTarget.setPointerCapture(event.pointerId);
      follow(event);
    };
    const step = (event) => {
      const far = event.shiftKey ? 0.1 : 0.02;
      const { wipeAt } = this.viewer.settings;
      const places = { ArrowLeft: wipeAt - far, ArrowDown: wipeAt - far, ArrowRight: wipeAt + far };
      Object.assign(places, { ArrowUp: wipeAt + far, Home: 0, End: 1 });
      if (event.key in places) {
        event.preventDefault();
        this.viewer.wipeTo(places[event.key]);
      }
      if (event.key.startsWith("Arrow")) event.stopPropagation();
    };
    return el(
      "div",
      {
        ...{ class: "divider", role: "slider", tabindex: "0", hidden: "" },
        ...{ "aria-valuemin": "0", "aria-valuemax": "100", pointerdown: start, pointermove: follow, keydown: step },
      },
      el("span", { "aria-hidden": "true" }, "‹ ›"),
    );
  }

  // Pointers: hover or tap reads; drag pans, two fingers pinch.

  listen() {
    const on = (name, handle, options) =>
      this.surface.addEventListener(name, (event) => this.picture && handle.call(this, event), options);
    on("pointerdown", this.press);
    on("pointermove", this.move);
    on("pointerup", this.release);
    on("pointercancel", (event) => this.pointers.delete(event.pointerId));
    on("pointerleave", (event) => event.pointerType === "mouse" && !event.buttons && this.viewer.clearProbe());
    on("dblclick", (event) => this.viewer.zoomBy(this, 2, this.at(event)));
    on("wheel", this.wheel, { passive: false });
    // One finger scrolls the page until the picture is zoomed; from then on, and with two fingers, it is ours.
    const claim = (event) => (this.viewer.view.zoom > 1 || event.touches.length > 1) && event.preventDefault();
    on("touchmove", claim, { passive: false });
    this.box.addEventListener("keydown", (event) => this.picture && this.viewer.key(this, event));
  }

  press(event) {
    if (event.button) return;
    this.pointers.set(event.pointerId, { at: this.at(event), travelled: 0 });
    if (this.viewer.view.zoom > 1) this.surface.setPointerCapture(event.pointerId);
  }

  move(event) {
    const pointer = this.pointers.get(event.pointerId);
    if (!pointer) {
      if (event.pointerType === "mouse") this.viewer.probeAt(this, this.toPicture(this.at(event)), "hover");
      return;
    }
    const before = this.gesture();
    const [x, y] = this.at(event);
    pointer.travelled += Math.hypot(x - pointer.at[0], y - pointer.at[1]);
    pointer.at = [x, y];
    this.viewer.drag(this, before, this.gesture());
  }

  release(event) {
    const pointer = this.pointers.get(event.pointerId);
    const tapped = pointer && pointer.travelled < 8 && this.pointers.size === 1 && event.pointerType !== "mouse";
    this.pointers.delete(event.pointerId);
    if (tapped) this.viewer.probeAt(this, this.toPicture(this.at(event)), "tap");
  }

  /** Zooms with Ctrl, and without it once the photo is zoomed; else the page scrolls, and a hint says what would zoom. */
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey && this.viewer.view.zoom === 1) return this.showHint();
    event.preventDefault();
    this.viewer.zoomBy(this, Math.exp(-clamp(event.deltaY, -60, 60) / 120), this.at(event));
  }

  showHint() {
    this.hint.hidden = false;
    clearTimeout(this.hiding);
    this.hiding = setTimeout(() => (this.hint.hidden = true), WHEEL_HINT);
  }

  /** Middle of the pressed pointers, and their spread (0 for one). */
  gesture() {
    const places = [...this.pointers.values()].slice(0, 2).map((pointer) => pointer.at);
    const [a, b] = [places[0], places[places.length - 1]];
    return { middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], spread: Math.hypot(a[0] - b[0], a[1] - b[1]) };
  }

  // The reading

  showTip(reading, place, how) {
    this.tip.hidden = !reading;
    this.marker.hidden = !reading || how === "hover";
    if (!reading) return;
    const [x, y] = this.toBox(place);
    this.marker.style.translate = `${x}px ${y}px`;
    const name = el("strong", {}, reading.name);
    const sure = reading.confidence ? `conf. ${reading.confidence}` : "";
    this.tip.replaceChildren(swatch(this.viewer.colourOf(reading.id)), name, reading.likely ?? "", sure);
    const [width, height] = [this.tip.offsetWidth, this.tip.offsetHeight];
    const right = x + 14 + width > this.box.clientWidth ? x - 14 - width : x + 14;
    const below = how === "hover" && y + 18 + height <= this.box.clientHeight ? y + 18 : y - 16 - height;
    this.tip.style.translate =
      `${Math.round(clamp(right, 4, Math.max(4, this.box.clientWidth - width - 4)))}px ` +
      `${Math.round(clamp(below, 4, this.box.clientHeight - height - 4))}px`;
  }

  hideTip() {
    this.tip.hidden = this.marker.hidden = true;
  }

  showWipe({ wipe, wipeAt, photo }) {
    const shown = wipe && !photo && Boolean(this.picture);
    const share = Math.round(wipeAt * 100);
    const [left, right] = this.rival ? [this.rival.data.title, this.data.title] : ["photo", "overlay"];
    this.divider.hidden = !shown;
    this.divider.style.left = `${wipeAt * 100}%`;
    this.divider.setAttribute("aria-label", `Wipe: ${left} left, ${right} right`);
    this.divider.setAttribute("aria-valuenow", share);
    this.divider.setAttribute("aria-valuetext", `${left} on the left ${share}% of the width`);
    this.overlay.style.clipPath = shown ? `inset(0 0 0 ${wipeAt * 100}%)` : "none";
    this.beneath.style.clipPath = shown ? `inset(0 ${100 - wipeAt * 100}% 0 0)` : "none";
  }
}
