// Which networks a picture needs, as network/catalogue.py selects them.

/**
 * Of the entries of networks.json those for `scale`: {clean, photo}, of which the picture decides where both are there,
 * or {clean, photo, strength} to be mixed.
 *
 * best: the best that ships, base before tiny; else tiny. weights: "auto", "clean", "photo" or "mix". At scale 1 pictures are
 * restored and not enlarged, which clean weights cannot do.
 */
export function select(networks, { scale, best, weights, strength }) {
  const order = best ? ["base", "tiny"] : ["tiny"];
  const find = (size, at, variant) => networks.find((n) => n.size === size && n.scale === at && n.variant === variant);
  const sizes = (at, variants) => order.filter((size) => variants.every((variant) => find(size, at, variant)));
  const reaches = (variants) => [1, 2, 3, 4].find((at) => at >= scale && sizes(at, variants).length);
  const first = (at, variant) => find(sizes(at, [variant])[0], at, variant);
  if (weights === "mix") {
    const at = reaches(["clean", "photo"]), size = sizes(at, ["clean", "photo"])[0];
    return { clean: find(size, at, "clean"), photo: find(size, at, "photo"), strength };
  }
  if (scale === 1 && weights === "clean") throw new Error("expected more than 1× with clean weights, which take nothing away");
  if (weights === "photo" || scale === 1) return { photo: first(reaches(["photo"]), "photo") };
  const at = reaches(["clean"]);
  return { clean: first(at, "clean"), photo: weights === "auto" ? first(at, "photo") : undefined };
}

/** Weights between two, as network/mixing.py mixes them. */
export const mixed = (clean, photo, strength) => clean.map((value, i) => (1 - strength) * value + strength * photo[i]);
