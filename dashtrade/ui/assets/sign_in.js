// This tab's session has ended: to the form.
export default function () {
  window.dashtrade.signIn();
}
