// Two controls at the foot of the menu: light or dark, and the way out. The form does it all; it needs the look of the sidebar.
export default function ({ parentElement }) {
  parentElement.querySelectorAll('[name=theme]').forEach(button => {
    button.setAttribute('aria-pressed', String(button.value === window.dashtrade.theme()));
    button.onclick = () => window.dashtrade.chooseTheme(button.value);
  });
}
