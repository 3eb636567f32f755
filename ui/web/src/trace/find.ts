/** Finding text in a trace: which rows have it in the names of their service, operation or version, their tags, or ID. */
import type { TraceView } from './view';

/** Text of rows that the columns do not have, in lower case: tags and annotations. By row; empty for none. */
export type RowTexts = readonly string[];

/** Rows in order. Each name is looked at once, however many rows have it. */
export function findRows(view: TraceView, texts: RowTexts | null, text: string): Int32Array {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return new Int32Array(0);
  const { rows } = view;
  const inService = flags(view.services, wanted);
  const inName = flags(view.names, wanted);
  const inVersion = flags(view.versions, wanted);
  const id = /^[0-9a-f]{16}$/.test(wanted) ? BigInt(`0x${wanted}`) : null;
  const found = new Int32Array(rows.count);
  let count = 0;
  for (let row = 0; row < rows.count; row++) {
    const matches =
      inService[rows.service[row] ?? -1] ||
      inName[rows.name[row] ?? -1] ||
      inService[rows.remote[row] ?? -1] ||
      inVersion[rows.version[row] ?? -1] ||
      (id !== null && rows.id[row] === id) ||
      texts?.[row]?.includes(wanted);
    if (matches) found[count++] = row;
  }
  return found.slice(0, count);
}

function flags(texts: readonly string[], wanted: string): Uint8Array {
  return Uint8Array.from(texts, (text) => Number(text.toLowerCase().includes(wanted)));
}
