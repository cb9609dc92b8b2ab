// Pictures: decoded as they are in the file, and painted with outlines.

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
