const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as HTML or SVG, in elements and in quoted attributes. Control characters that no document may hold become U+FFFD. */
export function escapeHtml(text: string): string {
  return text.replace(/\p{Cc}/gu, (c) => (c === '\n' || c === '\t' ? c : '\ufffd')).replace(/[&<>"']/g, (c) => entities[c]);
}
