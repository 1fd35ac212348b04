// The page's own files, kept so that it works without a network. What the fleet publishes is kept by knowledge.js.

const VERSION = "{version}";
const CACHE = `slip-page-${VERSION}`;
const FILES = [
  "./",
  "app.js",
  "base45.js",
  "bytes.js",
  "camera.js",
  "cbor.js",
  "claims.js",
  "cose.js",
  "der.js",
  "directory.js",
  "ecdsa.js",
  "fleet.json",
  "icon.svg",
  "jsQR.js",
  "jws.js",
  "knowledge.js",
  "lines.js",
  "manifest.json",
  "page.css",
  "qr.js",
  "refused.js",
  "status.js",
  "texts.js",
  "texts.json",
  "url.js",
  "verify.js",
  "view.js",
  "x509.js",
];

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const within = url.href.startsWith(self.registration.scope);
  if (event.request.method === "GET" && within) event.respondWith(answer(event.request, url));
});

async function keep() {
  const cache = await caches.open(CACHE);
  await cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" })));
}

async function takeOver() {
  const old = (await caches.keys()).filter((name) => name.startsWith("slip-page-") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function answer(request, url) {
  const cache = await caches.open(CACHE);
  const name = request.mode === "navigate" ? self.registration.scope : url.origin + url.pathname;
  return (await cache.match(name)) ?? fetch(request);
}
