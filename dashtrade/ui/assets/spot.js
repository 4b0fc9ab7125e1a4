// What is wrong with a form is brought into view: its field is marked and gets the keyboard, and what hides it is opened.
const TRIES = 90;  // frames

function field(wrong) {
  return wrong.closest('[class*="st-key-field_"]')?.querySelector('input, textarea, [role="combobox"]');
}

export default function ({ data: [{ wrong, at }], parentElement }) {
  if (parentElement.spotted === at) return;
  parentElement.spotted = at;
  let marked = null, frame = 0;
  const unmark = () => {
    marked?.removeAttribute('aria-invalid');
    marked?.removeAttribute('aria-describedby');
  };
  const look = tries => {
    const found = document.querySelector(`.st-key-${wrong}`);
    if (!found?.textContent) {
      if (tries) frame = requestAnimationFrame(() => look(tries - 1));
      return;
    }
    found.closest('details:not([open])')?.querySelector('summary').click();
    found.id = `${wrong}_words`;
    marked = field(found);
    marked?.setAttribute('aria-invalid', 'true');
    marked?.setAttribute('aria-describedby', found.id);
    frame = requestAnimationFrame(() => {
      (marked?.closest('[class*="st-key-field_"]') || found).scrollIntoView({ block: 'center' });
      marked?.focus({ preventScroll: true });
    });
  };
  look(TRIES);
  return () => { cancelAnimationFrame(frame); unmark(); };
}
