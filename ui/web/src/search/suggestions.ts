/** What may be typed next where tags are asked for: keys first, then the values of the key that is there. */

/** The key whose values are needed to go on: that of the last term, once it has its `=`. */
export function keyOf(typed: string, keys: readonly string[]): string | null {
  const term = lastTerm(typed).term;
  const equals = term.indexOf('=');
  const key = term.slice(0, Math.max(0, equals));
  return keys.includes(key) ? key : null;
}

/** Whole texts, since a field's suggestions replace all that is in it. */
export function tagSuggestions(typed: string, keys: readonly string[], values: readonly string[]): string[] {
  const { before, term } = lastTerm(typed);
  const key = keyOf(typed, keys);
  if (key !== null) return values.map((value) => `${before}${key}=${value}`);
  return term.includes('=') ? [] : keys.map((name) => `${before}${name}=`);
}

function lastTerm(typed: string): { before: string; term: string } {
  const at = typed.lastIndexOf(' and ');
  const from = at < 0 ? 0 : at + ' and '.length;
  return { before: typed.slice(0, from), term: typed.slice(from) };
}
