// Garmentscope's picture component. Python sends each photo with its class map and confidence once; all that is done
// to them afterwards (opacity, chips, threshold, wipe, zoom, reading) happens in this file.

const MAX_ZOOM = 12;
const MAX_DENSITY = 2; // device pixels per CSS pixel beyond which nobody sees a difference, but a phone feels one
const HIDDEN = 255; // id of a pixel without overlay: class off, confidence too low, or outside the picture
const OUTLINE = 1.5; // CSS pixels
const SMOOTH = 1.05; // target pixels per picture pixel from which edges are drawn smooth
const SHARP = 1.2; // the same, from which the photo is drawn from its own file
const MAX_ORIGINAL = 4096; // longest side, in pixels, at which that is decoded
const WHEEL_HINT = 1600; // ms
const SURE = 0.9; // presence from which it is not mentioned
const WHEEL_WORDS = `${/Mac|iP(hone|ad)/.test(navigator.platform) ? "⌘" : "Ctrl"} and the mouse wheel zoom the photo`;
const STAGE_KEYS =
  "Arrow keys move the reading point over the photo, with Shift in larger steps. Plus and minus zoom, 0 fits the " +
  "photo. Space shows only the photo, W turns the wipe on or off, [ and ] change the opacity.";

// ---------------------------------------------------------------- small things

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** An element with attributes (functions become listeners) and children (strings become text). */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A share as people write it; what is there but rounds to nothing is not 0%. */
function perCent(share) {
  return share > 0 && share < 0.005 ? "<1%" : `${Math.round(share * 100)}%`;
}

function countOf(garments) {
  return garments.length === 1 ? "1 less likely garment" : `${garments.length} less likely garments`;
}

/** "38% likely" where the presence is known and worth a word. */
function likelihood({ presence }) {
  return presence == null || presence >= SURE ? null : `${perCent(presence)} likely`;
}

/** "skirt 91%" where the kind within the class is certain. */
function kindOf({ kind }) {
  return kind ? `${kind.name} ${perCent(kind.probability)}` : null;
}

/** The garments with `share`: of the pixels of all of them on the same person. */
function sharesAmong(garments) {
  const sums = new Map();
  for (const { person, outfit_share } of garments) sums.set(person, (sums.get(person) ?? 0) + outfit_share);
  return garments.map((garment) => ({ ...garment, share: garment.outfit_share / (sums.get(garment.person) || 1) }));
}

function swatch(colour) {
  return el("span", { class: "swatch", style: `--colour:${colour}`, "aria-hidden": "true" });
}

// ---------------------------------------------------------------- decoding

function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Why a picture is not shown. Safari before 16.4 and Firefox before 113 cannot unpack one. */
function couldNotBeShown(name) {
  return typeof DecompressionStream === "undefined" || typeof createImageBitmap === "undefined"
    ? `This browser is too old to show ${name}. Update it: Safari from 16.4, Firefox from 113, Chrome and Edge from 80 on show it. The downloads work all the same.`
    : `${name} could not be shown: its data arrived damaged. Add it again.`;
}

/** A canvas that is not on the page; Safari before 16.4 has no OffscreenCanvas. */
function hiddenCanvas(width, height) {
  if (typeof OffscreenCanvas !== "undefined") return new OffscreenCanvas(width, height);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.convertToBlob = ({ type }) => new Promise((resolve) => canvas.toBlob(resolve, type));
  return canvas;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * An 8-bit grey PNG as it is in the file. A canvas would pass it through colour management, which changes the ids as
 * soon as the file has a gAMA chunk.
 */
async function decodeGreyPng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const parts = [];
  let width = 0;
  let height = 0;
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const body = at + 8;
    if (type === "IHDR") {
      [width, height] = [view.getUint32(body), view.getUint32(body + 4)];
      const [depth, colour, , , interlace] = bytes.subarray(body + 8, body + 13);
      if (depth !== 8 || colour !== 0 || interlace !== 0) throw new Error("not a plain 8-bit grey PNG");
    } else if (type === "IDAT") {
      parts.push(bytes.subarray(body, body + length));
    }
    at = body + length + 4;
  }
  const rows = await inflate(new Uint8Array(await new Blob(parts).arrayBuffer()));
  if (!width || rows.length !== (width + 1) * height) throw new Error("PNG is cut off");
  return { width, height, values: unfilter(rows, width, height) };
}

/** Undo the row filters of a one-byte-per-pixel PNG (PNG specification, section 9). */
function unfilter(rows, width, height) {
  const out = new Uint8Array(width * height);
  for (let y = 0, source = 0, i = 0; y < height; y++) {
    const filter = rows[source++];
    if (filter > 4) throw new Error(`PNG filter ${filter}`);
    for (let x = 0; x < width; x++, i++) {
      const left = x > 0 ? out[i - 1] : 0;
      const up = y > 0 ? out[i - width] : 0;
      let guess = 0;
      if (filter === 1) guess = left;
      else if (filter === 2) guess = up;
      else if (filter === 3) guess = (left + up) >> 1;
      else if (filter === 4) guess = paeth(left, up, x > 0 && y > 0 ? out[i - width - 1] : 0);
      out[i] = rows[source++] + guess;
    }
  }
  return out;
}

function paeth(left, up, corner) {
  const [toLeft, toUp] = [Math.abs(up - corner), Math.abs(left - corner)];
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

/**
 * What a stage's data hold: the photo as a bitmap, class ids, confidence (per cent) if known, the number of the less
 * likely garment (from 1, or 0) if there are any, whose each pixel is if there are several people, and which ids occur.
 */
async function decodePicture(data) {
  const [photo, classes, confidence, lessLikely, owners] = await Promise.all([
    createImageBitmap(new Blob([fromBase64(data.photo)], { type: "image/jpeg" })),
    decodeGreyPng(fromBase64(data.class_map)),
    data.confidence && decodeGreyPng(fromBase64(data.confidence)),
    data.less_likely_map && decodeGreyPng(fromBase64(data.less_likely_map)),
    data.owners && decodeGreyPng(fromBase64(data.owners)),
  ]);
  const { width, height } = classes;
  const others = [photo, confidence, lessLikely, owners].filter(Boolean);
  if (others.some((part) => part.width !== width || part.height !== height)) {
    throw new Error("photo and maps differ in size");
  }
  const ids = new Set(classes.values);
  const values = { classes: classes.values, confidence: confidence?.values, lessLikely: lessLikely?.values };
  return { photo, width, height, ids, ...values, owners: owners?.values };
}

// ---------------------------------------------------------------- painting

/**
 * Class ids of the pixels whose overlay is to be seen; HIDDEN for the others, where one of `hidden` is not 0, and where
 * the person is one of `offPeople`.
 */
function visibleClasses(picture, off, offPeople, threshold, hidden) {
  const owners = offPeople.size ? picture.owners : null;
  const shown = new Uint8Array(256).fill(1);
  for (const id of off) shown[id] = 0;
  const visible = new Uint8Array(picture.classes.length);
  for (let i = 0; i < visible.length; i++) {
    const id = picture.classes[i];
    const sure = !picture.confidence || picture.confidence[i] >= threshold;
    const theirs = !owners || !offPeople.has(owners[i]);
    visible[i] = shown[id] && sure && theirs && !hidden.some((plane) => plane[i]) ? id : HIDDEN;
  }
  return visible;
}

/** 1 where all pictures name the same class, 0 elsewhere; null unless there are several, all of one size. */
function agreed(pictures) {
  const [first, ...others] = pictures;
  if (!others.length || others.some((each) => each.width !== first.width || each.height !== first.height)) return null;
  const same = new Uint8Array(first.classes.length);
  for (let i = 0; i < same.length; i++) same[i] = others.every((each) => each.classes[i] === first.classes[i]) ? 1 : 0;
  return same;
}

/** 1 for each pixel that has the same value as all eight around it, 0 elsewhere and at the picture's edge. */
function uniform(values, width, height) {
  const same = new Uint8Array(values.length);
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1, i = y * width + 1; x < width - 1; x++, i++) {
      const id = values[i];
      const [up, down] = [i - width, i + width];
      const beside = values[i - 1] === id && values[i + 1] === id && values[up] === id && values[down] === id;
      const corners = values[up - 1] === id && values[up + 1] === id && values[down - 1] === id && values[down + 1] === id;
      same[i] = beside && corners ? 1 : 0;
    }
  }
  return same;
}

/** For each target pixel of an axis the nearest picture pixel, and the weights of it and its two neighbours. */
function splineOf(count, margin, start, scale, size) {
  const nearest = new Int32Array(count);
  const weights = new Float32Array(3 * count);
  for (let x = 0; x < count; x++) {
    const place = (x - margin + 0.5 - start) / scale - 0.5;
    const middle = Math.round(place);
    const d = place - middle;
    nearest[x] = middle < 0 || middle >= size ? -1 : middle;
    weights.set([0.5 * (0.5 - d) ** 2, 0.75 - d * d, 0.5 * (0.5 + d) ** 2], 3 * x);
  }
  return { nearest, weights };
}

/**
 * As sampleClasses, with smooth edges: each target pixel gets the class with the largest sum of weights among the nine
 * picture pixels around it (quadratic B-spline).
 */
function sampleSmooth(picture, visible, { scale, left, top }, width, height, margin) {
  const { width: columns, height: rows } = picture;
  const same = (visible.same ??= uniform(visible, columns, rows)); // kept with the array
  const stride = width + 2 * margin;
  const count = height + 2 * margin;
  const sampled = new Uint8Array(stride * count).fill(HIDDEN);
  const across = splineOf(stride, margin, left, scale, columns);
  const along = splineOf(count, margin, top, scale, rows);
  const votes = new Float32Array(256);
  for (let y = 0; y < count; y++) {
    const row = along.nearest[y];
    if (row < 0) continue;
    for (let x = 0; x < stride; x++) {
      const column = across.nearest[x];
      if (column < 0) continue;
      const i = row * columns + column;
      if (same[i]) {
        sampled[y * stride + x] = visible[i];
        continue;
      }
      let best = visible[i];
      for (let v = -1; v <= 1; v++) {
        const line = clamp(row + v, 0, rows - 1) * columns;
        const weight = along.weights[3 * y + v + 1];
        for (let u = -1; u <= 1; u++) {
          const id = visible[line + clamp(column + u, 0, columns - 1)];
          votes[id] += weight * across.weights[3 * x + u + 1];
          if (votes[id] > votes[best]) best = id;
        }
      }
      for (let v = -1; v <= 1; v++) {
        const line = clamp(row + v, 0, rows - 1) * columns;
        for (let u = -1; u <= 1; u++) votes[visible[line + clamp(column + u, 0, columns - 1)]] = 0;
      }
      sampled[y * stride + x] = best;
    }
  }
  return sampled;
}

/** The visible classes under each target pixel, nearest, with a margin of HIDDEN (and of the picture) around. */
function sampleClasses(picture, visible, { scale, left, top }, width, height, margin) {
  const stride = width + 2 * margin;
  const sampled = new Uint8Array(stride * (height + 2 * margin)).fill(HIDDEN);
  const columns = new Int32Array(stride);
  for (let x = 0; x < stride; x++) columns[x] = Math.floor((x - margin + 0.5 - left) / scale);
  const first = columns.findIndex((column) => column >= 0);
  for (let y = 0; y < height + 2 * margin; y++) {
    const row = Math.floor((y - margin + 0.5 - top) / scale);
    if (row < 0 || row >= picture.height || first < 0) continue;
    for (let x = first; x < stride && columns[x] < picture.width; x++) {
      sampled[y * stride + x] = visible[row * picture.width + columns[x]];
    }
  }
  return sampled;
}

/** Whether a pixel of another class lies within `reach` of pixel i, along the row or the column. */
function nearBorder(sampled, i, stride, reach) {
  const id = sampled[i];
  for (let step = 1; step <= reach; step++) {
    if (sampled[i - step] !== id || sampled[i + step] !== id) return true;
    if (sampled[i - step * stride] !== id || sampled[i + step * stride] !== id) return true;
  }
  return false;
}

/** The overlay as RGBA: tint inside, outline (inside each region) on top. */
function paintOverlay(picture, visible, placement, width, height, ink) {
  const reach = Math.max(ink.reach, ink.litReach);
  const stride = width + 2 * reach;
  const sample = placement.scale > SMOOTH ? sampleSmooth : sampleClasses;
  const sampled = sample(picture, visible, placement, width, height, reach);
  const image = new ImageData(width, height);
  const target = new Uint32Array(image.data.buffer);
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0, i = (y + reach) * stride + reach; x < width; x++, i++, o++) {
      const id = sampled[i];
      if (id === HIDDEN) continue;
      const edge = nearBorder(sampled, i, stride, id === ink.lit ? ink.litReach : ink.reach);
      target[o] = edge ? ink.edge[id] : ink.fill[id];
    }
  }
  return image;
}

/** Colours and outline widths for paintOverlay; `density` is target pixels per CSS pixel. */
function mixInk(classes, { opacity, outline }, lit, density) {
  const ink = { fill: new Uint32Array(256), edge: new Uint32Array(256), lit };
  ink.reach = outline ? Math.max(1, Math.round(OUTLINE * density)) : 0;
  ink.litReach = lit === null ? ink.reach : Math.max(2, Math.round(2 * density));
  for (const { id, colour } of classes) {
    const alpha = id === lit ? Math.min(1, opacity / 100 + 0.15) : opacity / 100;
    ink.fill[id] = rgba(colour, alpha);
    ink.edge[id] = id === lit ? 0xffffffff : rgba(colour, 1);
  }
  return ink;
}

function rgba(hex, alpha) {
  const value = parseInt(hex.slice(1), 16);
  const swapped = ((value & 255) << 16) | (value & 0xff00) | (value >> 16);
  return ((Math.round(alpha * 255) << 24) | swapped) >>> 0;
}

/**
 * How many pixels each class has on each person, by confidence: counts at [person][id * 21 + step], steps of 5%.
 * Without owners all pixels are the first person's.
 */
function countByConfidence({ classes, confidence, owners }, people) {
  const counts = Array.from({ length: people }, () => new Uint32Array(256 * 21));
  for (let i = 0; i < classes.length; i++) {
    const person = owners ? owners[i] : 0;
    counts[person < people ? person : 0][classes[i] * 21 + Math.round(confidence[i] / 5)]++;
  }
  return counts;
}

// ---------------------------------------------------------------- one stage

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

// ---------------------------------------------------------------- chips and table

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

// ---------------------------------------------------------------- the viewer

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
