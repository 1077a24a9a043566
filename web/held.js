// Workers that the page's Content-Security-Policy holds. A worker has the policy of its own script's answer, which a static host does not
// give; one of a Blob has that of who made it.

const addresses = new Map();

/** A worker that runs a module beside this one. */
export function heldWorker(name) {
  if (!addresses.has(name)) {
    const script = `import ${JSON.stringify(new URL(name, import.meta.url).href)};`;
    addresses.set(name, URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  }
  return new Worker(addresses.get(name), { type: "module" });
}
