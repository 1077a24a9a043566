// The form of settings: what can be chosen, what is, and the hints on it.

import * as engine from "./engine.js";

const $ = (id) => document.getElementById(id);
const HINTS = {
  auto: "Clean or photo, chosen for each picture.",
  clean: "For pictures that lost nothing but their size.",
  photo: "For pictures with traces of JPEG, noise or a soft lens.",
  mix: "From clean, 0 %, to photo, 100 %.",
  fast: "A small network.",
  ...engine.hints,
};
const RESTORES = "Takes traces of JPEG and noise away. The size stays.";

/** Shows the formats and scales that the engine has. */
export function offer(choices) {
  $("format").replaceChildren(...choices.formats.map(([value, label]) => new Option(label, value)));
  for (const label of document.querySelectorAll("label:has([name=scale])")) label.hidden = !choices.scales.includes(Number(label.control.value));
}

export function optionsNow() {
  const data = new FormData($("options"));
  return {
    scale: Number(data.get("scale")), weights: data.get("weights"), strength: Number($("strength").value) / 100,
    best: data.get("network") === "best", format: $("format").value,
  };
}

const settings = (options) => engine.depends.map((name) => (name === "strength" && options.weights !== "mix" ? "" : options[name])).join();

/** Whether a result would now be another than it was with these options. */
export const differsNow = (options) => settings(options) !== settings(optionsNow());

/** Shows what follows from what is chosen: what else can be, and hints. Clean weights have nothing to do at 1x. */
export function refreshSettings() {
  const [auto, clean] = ["auto", "clean"].map((value) => document.querySelector(`[name=weights][value=${value}]`));
  const restores = optionsNow().scale === 1;
  if (restores && clean.checked) auto.checked = true;
  clean.disabled = restores;
  const { weights, best } = optionsNow();
  $("strength-row").hidden = weights !== "mix";
  $("weights-hint").textContent = restores && weights !== "mix" ? RESTORES : HINTS[weights];
  $("network-hint").textContent = HINTS[best && !restores ? "best" : "fast"];
}
