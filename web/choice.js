// The choice between weights for clean pictures and for photographs: the rule of upscale/choice.py.

const GOOD_JPEG = 92;
const JPEG = 0.45, ONE_GRID = 0.1, LOSSY = 0.11;
const NOISE = 2.6, GREY_NOISE = 3.4;
const SOFT = 0.57, SOFT_EDGES = 0.61, DRAWN = 0.9;

/** Whether the file alone decides. */
export const isKnown = ({ lossy, quality }) => Boolean(lossy) && (quality === null || quality < GOOD_JPEG);

/** {variant, reason} by what a file says and what `measure` found, or null. */
export function decide(facts, measured) {
  const says = facts.quality !== null ? `${facts.lossy} quality ${facts.quality}` : facts.lossy;
  if (isKnown(facts)) return { variant: "photo", reason: says };
  const seen = seenIn(measured);
  if (seen) return { variant: "photo", reason: says ? `${says}, ${seen}` : seen };
  return { variant: "clean", reason: says ?? "no trace of compression, noise or blur" };
}

function seenIn(measured) {
  if (!measured) return null;
  const { blocks, oneGrid, noise, grey, fineness, steepness } = measured;
  if (blocks > JPEG && oneGrid > ONE_GRID) return "blocks of JPEG";
  if (noise > (grey ? GREY_NOISE : NOISE)) return `noise of about ${noise.toFixed(0)} of 255`;
  if (fineness !== null && fineness < SOFT && steepness < SOFT_EDGES) return "soft";
  if (blocks > LOSSY && oneGrid < ONE_GRID && steepness < DRAWN) return "traces of lossy compression";
  return null;
}
