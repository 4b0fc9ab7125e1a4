// This tab's session has ended: to the form. replace(), so that the way back does not lead here again.
export default function () {
  window.location.replace('/auth/login');
}
