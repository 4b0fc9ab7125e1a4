// Figures. Cards stay the same elements from update to update, so that numbers change without a flicker.
const SVG = 'http://www.w3.org/2000/svg';

function spark(numbers, tone) {
  const svg = document.createElementNS(SVG, 'svg');
  const low = Math.min(...numbers), span = Math.max(...numbers) - low || 1;
  const points = numbers.map((v, i) => `${(i * 100) / (numbers.length - 1)},${34 - (28 * (v - low)) / span}`);
  const colour = tone === 'down' ? 'var(--st-red-color)' : tone === 'up' ? 'var(--st-green-color)' : 'var(--st-link-color)';
  svg.setAttribute('viewBox', '0 0 100 38');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const area = document.createElementNS(SVG, 'polygon');
  area.setAttribute('points', `0,38 ${points.join(' ')} 100,38`);
  area.setAttribute('style', `fill:${colour};opacity:.16`);
  const line = document.createElementNS(SVG, 'polyline');
  line.setAttribute('points', points.join(' '));
  line.setAttribute('style', `fill:none;stroke:${colour};stroke-width:1.6;vector-effect:non-scaling-stroke`);
  svg.append(area, line);
  return svg;
}

// A figure is never cut off: it is written as large as its card and the fonts of this machine allow, and breaks below 12 px.
const SMALLEST = 12;

function fit(value) {
  value.style.fontSize = value.style.whiteSpace = '';
  if (value.scrollWidth <= value.clientWidth) return;
  const size = parseFloat(getComputedStyle(value).fontSize) * (value.clientWidth / value.scrollWidth) * 0.98;
  value.style.fontSize = `${Math.max(size, SMALLEST)}px`;
  if (size < SMALLEST) value.style.whiteSpace = 'normal';
}

// Its width is measured only where it can have changed: with another number of characters.
function figure(value, text) {
  if (value.textContent === text) return;
  const longer = value.textContent.length !== text.length;
  value.textContent = text;
  if (longer) fit(value);
}

function part(card, name) {
  let found = card.querySelector(`.${name}`);
  if (!found) {
    found = document.createElement('div');
    card.append(found);
  }
  return found;
}

export default function ({ data: [data], parentElement }) {
  const box = parentElement.querySelector('.cards');
  while (box.children.length > data.cards.length) box.lastChild.remove();
  data.cards.forEach((shown, i) => {
    let card = box.children[i];
    if (!card) {
      card = document.createElement('div');
      card.className = 'card';
      box.append(card);
    }
    const write = (name, text, tone) => {
      const element = part(card, name);
      element.className = `${name} ${tone || ''}`;
      if (name === 'value') figure(element, text);
      else if (element.textContent !== text) element.textContent = text;
    };
    card.dataset.live = shown.live;
    write('label', shown.label);
    write('value', shown.value, shown.tone);
    write('note', shown.note, shown.note_tone);
    const row = shown.spark.join();
    if (card.dataset.row !== row) {
      card.dataset.row = row;
      card.querySelector('svg')?.remove();
      if (shown.spark.length > 1) card.prepend(spark(shown.spark, shown.tone || shown.note_tone));
    }
  });
  const sized = new ResizeObserver(() => box.querySelectorAll('.value').forEach(fit));
  sized.observe(box);
  document.fonts?.ready.then(() => box.querySelectorAll('.value').forEach(fit));
  if (!data.cards.some(card => card.live)) return () => sized.disconnect();

  let off = () => {}, gone = false;
  import(new URL('/live.mjs', document.baseURI).href).then(live => {
    if (gone) return;
    off = live.subscribe(({ c }) => [...box.children].forEach(card => {
      const pushed = card.dataset.live && c[card.dataset.live], value = card.querySelector('.value');
      if (!pushed) return;
      figure(value, pushed[0]);
      value.className = `value ${pushed[1]}`;
    }));
  });
  return () => { gone = true; off(); sized.disconnect(); };
}
