// Constants, elements and words that the other files use.

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
