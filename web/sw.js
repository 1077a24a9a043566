// Keeps the page, so that it works without a network, and holds all that it serves to this host alone.

const CACHE = `lamnet-${"VERSION"}`;
const FIRST = ["FIRST"], LATER = ["LATER"]; // to be kept at once, and with the first picture
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
  "worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

addEventListener("install", (event) => event.waitUntil(fill().then(() => skipWaiting())));
addEventListener("activate", (event) => event.waitUntil(forget().then(() => clients.claim())));
addEventListener("message", (event) => event.waitUntil(keepAll(event.data.keep)));
addEventListener("fetch", (event) => {
  const { request } = event, own = new URL(request.url).origin === location.origin;
  if (request.method === "GET" && own) event.respondWith(answer(request));
});

async function fill() {
  const cache = await caches.open(CACHE);
  await cache.addAll(["./", ...FIRST].map((name) => new Request(name, { cache: "no-cache" })));
}

async function forget() {
  for (const name of await caches.keys()) if (name.startsWith("lamnet-") && name !== CACHE) await caches.delete(name);
}

/** All that work takes, with the weights of tiny; those of base are kept once they are used. */
async function keepAll(module) {
  const cache = await caches.open(CACHE);
  const networks = await (await answer(new Request("networks.json"))).json();
  const files = [...LATER, module, ...networks.filter(({ size }) => size === "tiny").map(({ file }) => file)];
  for (const file of files) if (!(await cache.match(file))) await cache.add(file);
}

async function answer(request) {
  const cache = await caches.open(CACHE), kept = await cache.match(request, { ignoreSearch: true });
  if (kept) return held(kept);
  const response = await fetch(request);
  if (response.ok && response.status === 200) await cache.put(request, response.clone());
  return held(response);
}

/** With the policy, which a page can state for itself but not for its workers. */
function held(response) {
  const headers = new Headers(response.headers);
  headers.set("Content-Security-Policy", POLICY);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
