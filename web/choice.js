// The choice between weights for clean pictures and for photographs: the rule of upscale/choice.py.

const GOOD_JPEG = 92, GOOD_BITS = 3;
const JPEG = 0.45, ONE_GRID = 0.1, AGAIN = 0.4, ONE_GRID_AGAIN = 0.05, LOSSY = 0.11;
const NOISE = 2.6, GRAIN = 3.2;
const SOFT = 0.64, SOFT_EDGES = 0.62, SOFT_EQUAL = 0.3;
const DRAWN = [[0.35, 0.6], [0.12, 0.73]];

/** Whether the file alone decides. */
export const isKnown = ({ lossy, quality, bits }) =>
  Boolean(lossy) && (quality === null ? bits === null || bits < GOOD_BITS : quality < GOOD_JPEG);

/** {variant, reason} by what a file says and what `measure` found, or null. */
export function decide(facts, measured) {
  const says = coding(facts);
  if (isKnown(facts)) return { variant: "photo", reason: says };
  if (!measured) return { variant: "clean", reason: says ?? "too small to tell" };
  const seen = graphicsIn(measured) ?? damageIn(measured, facts.lossy);
  if (seen) return { variant: "photo", reason: says ? `${says}, ${seen}` : seen };
  return { variant: "clean", reason: says ?? "no trace of compression, noise or blur" };
}

function coding({ lossy, quality, bits }) {
  if (quality !== null) return `${lossy} quality ${quality}`;
  return bits !== null ? `${lossy} of ${bits.toFixed(1)} bits a pixel` : lossy;
}

function graphicsIn({ steepness, equal, fewLevels }) {
  if (fewLevels) return "graphics of few colours";
  return DRAWN.some(([least, steep]) => equal > least && steepness > steep) ? "graphics" : null;
}

function damageIn({ blocks, oneGrid, noise, grain, fineness, steepness, equal }, lossy) {
  const again = lossy === "JPEG";
  if (blocks > (again ? AGAIN : JPEG) && oneGrid > (again ? ONE_GRID_AGAIN : ONE_GRID)) return "blocks of JPEG";
  if (noise > NOISE) return `noise of about ${noise.toFixed(0)} of 255`;
  if (grain > GRAIN) return `grain of about ${grain.toFixed(0)} of 255`;
  if (fineness !== null && fineness < SOFT && steepness < SOFT_EDGES && equal < SOFT_EQUAL) return "soft";
  if (!lossy && blocks > LOSSY && oneGrid < ONE_GRID) return "traces of lossy compression";
  return null;
}
