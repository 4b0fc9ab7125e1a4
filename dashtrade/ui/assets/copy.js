// A line with a button that copies what it stands for, which may be more than it shows.
const SAID = 2500;  // ms

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {  // no clipboard without https: the way browsers had before
    const box = document.createElement('textarea'), had = document.activeElement;
    box.value = text;
    box.style.cssText = 'position:fixed;opacity:0';
    (had?.closest('[role="dialog"]') || document.body).append(box);
    box.select();
    const done = document.execCommand('copy');
    box.remove();
    had?.focus?.();
    return done;
  }
}

export default function ({ data: [{ text, shown, name }], parentElement }) {
  const line = parentElement.querySelector('.copy'), button = line.querySelector('button');
  line.querySelector('code').textContent = shown;
  button.setAttribute('aria-label', `Copy ${name}`);
  const told = line.querySelector('[role="status"]');
  button.onclick = async () => {
    const done = await copied(text);
    button.textContent = done ? 'Copied' : 'Not copied';
    told.textContent = done ? `${name} is copied.` : 'The browser does not let it be copied: show it, select it and copy it by hand.';
    clearTimeout(line.back);
    line.back = setTimeout(() => { button.textContent = 'Copy'; told.textContent = ''; }, SAID);
  };
}
