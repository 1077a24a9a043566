// Ways in: files that are chosen, dropped or pasted, and those of folders.

/** Calls `add` with an array of files. Of a folder come those that `wanted` takes by their names, and no hidden ones. */
export function listenForFiles(chooser, add, wanted) {
  chooser.onchange = () => {
    add([...chooser.files]);
    chooser.value = "";
  };
  addEventListener("paste", ({ clipboardData }) => add([...clipboardData.files]));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || document.body.classList.remove("over"));
  addEventListener("drop", async (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    add(await dropped(event.dataTransfer, wanted));
  });
}

async function dropped({ items, files }, wanted) {
  const all = [...files], entries = [...items].map((one) => one.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some(({ isDirectory }) => isDirectory)) return all;
  const found = [];
  for (const entry of entries) found.push(...(entry.isFile ? [await fileOf(entry)] : await inside(entry, wanted)));
  return found.filter(Boolean);
}

async function inside(folder, wanted) {
  const found = [], reader = folder.createReader();
  for (;;) {
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([]))); // 100 at once
    if (!some.length) return found;
    for (const entry of some) {
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory) found.push(...(await inside(entry, wanted)));
      else if (wanted(entry.name)) found.push(await fileOf(entry));
    }
  }
}

const fileOf = (entry) => new Promise((resolve) => entry.file(resolve, () => resolve(null)));
