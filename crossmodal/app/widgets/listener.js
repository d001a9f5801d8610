// What a page of Streamlit does not hear by itself: clicks on a tile's own buttons, keys, and pictures pasted or
// dropped anywhere. Everything is handed to Python as a trigger; nothing leaves this machine.
const BIG_BYTES = 3e6, MOST_BYTES = 40e6, LONGEST_SIDE = 1600;
const LETTERS = { l: "like", "+": "plus", "-": "minus", u: "up", d: "down" };
const typing = (target) => target.closest?.("input, textarea, select, [contenteditable], [role=slider], [role=combobox]");
const isFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
const pictureOf = (list) => [...(list ?? [])].find((file) => file.type.startsWith("image/") || /\.(heic|heif|tiff?)$/i.test(file.name));

async function smaller(file) {
  if (file.size <= BIG_BYTES) return file;
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => canvas.toBlob((blob) => done(blob ?? file), "image/jpeg", 0.92));
  } catch {
    return file; // a format that only Python can read
  }
}

const inBase64 = (blob) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(String(reader.result).split(",")[1] ?? "");
  reader.onerror = failed;
  reader.readAsDataURL(blob);
});

export default function listen({ data, setTriggerValue }) {
  const give = async (file) => {
    const fit = await smaller(file);
    const content = fit.size > MOST_BYTES ? "" : await inBase64(fit);
    setTriggerValue("given", { name: file.name || "pasted picture", content });
  };

  const press = (button, byKey) => {
    const { cm, row } = button.dataset;
    setTriggerValue("act", { act: cm, row: Number(row), generation: data?.generation ?? "" });
    if (byKey && cm !== "open") keepFocus(row, cm);
  };

  // The tiles are drawn again after an act: a keyboard's place among them is found again.
  const keepFocus = (row, act, tries = 40) => {
    const before = document.activeElement;
    const again = () => {
      const lost = !document.contains(before) || document.activeElement === document.body;
      const now = document.querySelector(`.cm-tile [data-cm="${act}"][data-row="${row}"]`);
      if (lost && now) {
        now.closest(".cm-tile").querySelector(".cm-open").focus(); // only now is the button visible
        now.focus();
      }
      else if (tries-- > 0) setTimeout(again, 100);
    };
    setTimeout(again, 100);
  };

  const clicked = (event) => {
    if (event.target.closest?.(".st-key-cm-pages button")) document.querySelector(".cm-total")?.scrollIntoView();
    const button = event.target.closest?.("[data-cm]");
    if (button) press(button, event.detail === 0);
  };

  const step = (from, key) => {
    const tiles = [...document.querySelectorAll(".cm-open")];
    const here = tiles.indexOf(from);
    if (key === "ArrowLeft") return tiles[here - 1];
    if (key === "ArrowRight") return tiles[here + 1];
    const at = from.getBoundingClientRect();
    const down = key === "ArrowDown" ? 1 : -1;
    const rows = tiles.filter((tile) => down * (tile.getBoundingClientRect().top - at.top) > at.height / 2);
    const far = (tile) => {
      const place = tile.getBoundingClientRect();
      return Math.abs(place.top - at.top) * 10 + Math.abs(place.left - at.left);
    };
    return rows.sort((one, other) => far(one) - far(other))[0];
  };

  const pressed = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const dialog = document.querySelector("[role=dialog]");
    const arrow = event.key.startsWith("Arrow");
    if (dialog) {
      const way = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
      const button = way && dialog.querySelector(`[class*="st-key-cm-${way}"] button:not([disabled])`);
      const busy = typing(event.target) || event.target.closest?.("[role=tab], [role=radio], [role=radiogroup], svg");
      if (button && !busy) { event.preventDefault(); button.click(); }
      return;
    }
    const line = document.querySelector(".st-key-text input");
    if (event.key === "Escape" && event.target === line) return line.blur();
    if (typing(event.target)) {
      if (event.target === line && event.key === "ArrowDown") {
        const first = document.querySelector(".cm-open");
        if (first) { event.preventDefault(); first.focus(); }
      }
      return;
    }
    if (event.key === "/" && line) { event.preventDefault(); line.focus(); return line.select(); }
    const tile = event.target.closest?.(".cm-tile");
    const open = tile?.querySelector(".cm-open");
    if (!open) return;
    if (arrow) {
      const next = step(open, event.key);
      if (next) { event.preventDefault(); next.focus(); next.scrollIntoView({ block: "nearest" }); }
    } else if (LETTERS[event.key]) {
      const button = tile.querySelector(`[data-cm="${LETTERS[event.key]}"]`);
      if (button) { event.preventDefault(); button.focus(); press(button, true); }
    }
  };

  const pasted = (event) => {
    const file = pictureOf(event.clipboardData?.files);
    if (!file || (typing(event.target) && event.clipboardData.getData("text/plain"))) return;
    event.preventDefault();
    give(file);
  };

  const elsewhere = (event) => event.target.closest?.("[data-testid=stFileUploaderDropzone]");
  const leave = () => document.body.classList.remove("cm-dropping");
  const over = (event) => {
    if (!isFile(event)) return;
    if (elsewhere(event)) return leave();
    event.preventDefault();
    document.body.classList.add("cm-dropping");
  };
  const left = (event) => { if (!event.relatedTarget) leave(); };
  const dropped = (event) => {
    leave();
    if (!isFile(event) || elsewhere(event)) return;
    event.preventDefault();
    const file = pictureOf(event.dataTransfer.files);
    if (file) give(file);
  };

  const heard = [["click", clicked], ["keydown", pressed], ["paste", pasted], ["dragover", over],
    ["dragleave", left], ["drop", dropped]];
  const deaf = () => { leave(); for (const [name, does] of heard) document.removeEventListener(name, does); };
  window.crossmodalDeaf?.(); // two pairs of ears would hear one click twice: a mark given and taken back at once
  window.crossmodalDeaf = deaf;
  for (const [name, does] of heard) document.addEventListener(name, does);
  return deaf;
}
