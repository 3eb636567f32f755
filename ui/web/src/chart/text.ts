/** The words around charts. */
export const text = {
  asTable: 'As a table',
  cut: (shown: number, all: number) => `The first ${shown} of ${all} rows.`,
  loading: 'Drawing…',
};
